//! Which known name was meant by one that is not known.

/// The name that is most like `wanted`, if any is like it at all.
pub(crate) fn closest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        // As many edits as the lengths differ by are needed at least: most names need no closer look.
        .filter(|name| name.len().abs_diff(wanted.len()) <= bearable(name))
        .map(|name| (distance(wanted, name), name))
        .filter(|(distance, name)| *distance <= bearable(name))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// As many typing errors as a name of that length may have.
fn bearable(name: &str) -> usize {
    1 + name.len() / 5
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_changed_places_are_one_error_and_other_words_are_none() {
        let names = ["payments", "orders", "returns"];
        assert_eq!(closest("ordres", names.into_iter()), Some("orders"));
        assert_eq!(closest("invoices", names.into_iter()), None);
    }
}
