//! The table of all keys: the one place where key, alias, setter, field, default and range meet.

use super::{Alias, Key, keys_client, keys_consumer, keys_librdkafka, keys_producer, keys_security};

/// Every key, section by section.
pub fn all() -> impl Iterator<Item = &'static Key> {
    [keys_client::KEYS, keys_producer::KEYS, keys_consumer::KEYS, keys_security::KEYS, keys_librdkafka::KEYS]
        .into_iter()
        .flatten()
}

/// The key of this name, Java's or another.
pub fn find(name: &str) -> Option<&'static Key> {
    all().find(|key| key.name == name).or_else(|| all().find(|key| alias(key, name).is_some()))
}

/// A key that the code names itself.
pub(super) fn named(name: &str) -> &'static Key {
    all().find(|key| key.name == name).expect("a key of the table")
}

fn alias(key: &Key, name: &str) -> Option<&'static Alias> {
    key.aliases.iter().find(|alias| alias.name == name)
}

/// What a value given under the name `given` is under the key's own name, in the key's own words.
pub(super) fn translate(key: &Key, given: &str, value: &str) -> String {
    // Java trims every value but passwords (ConfigDef.parseType).
    let mut value = if key.is_secret() { value } else { value.trim() };
    let same = |word: &str| word.eq_ignore_ascii_case(value);
    if let Some(alias) = alias(key, given) {
        if let Some((_, meant)) = alias.values.iter().find(|(word, _)| same(word)) {
            return (*meant).into();
        }
        if alias.scale != 1 {
            return value.parse::<i64>().map_or_else(|_| value.into(), |n| n.saturating_mul(alias.scale).to_string());
        }
    }
    if let Some((_, meant)) = key.synonyms.iter().find(|(word, _)| same(word)) {
        value = meant;
    }
    value.into()
}

/// The known name that is most like this one, if any is like it at all.
pub(super) fn suggest(unknown: &str) -> Option<&'static str> {
    let wanted = unknown.to_ascii_lowercase().replace(['_', '-'], ".");
    all()
        .flat_map(|key| std::iter::once(key.name).chain(key.aliases.iter().map(|alias| alias.name)))
        .map(|name| (distance(&wanted, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 5)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Edits between two texts: letters put in, left out, changed, or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    // Nothing that long is like a key; and the table below stays small.
    if a.len() > 128 {
        return usize::MAX;
    }
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}
