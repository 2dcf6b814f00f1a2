//! One result per item.

use crate::{Error, Result};
use std::borrow::Borrow;

/// What an operation on several items came to: one result per item, in the order of the input. The call's own `Err`
/// means that no item has an answer.
///
/// ```no_run
/// # async fn doc(admin: klamm::admin::Admin) -> klamm::Result<()> {
/// admin.delete_topics(["a", "b"]).await?.all()?;          // the first failure ends it
/// for (topic, result) in admin.delete_topics(["a", "b"]).await? {
///     if let Err(error) = result {
///         eprintln!("{topic} stays: {error}");            // one by one
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "items fail one by one: call `.all()?` or look at each"]
#[derive(Clone, Debug)]
pub struct Results<K, V> {
    items: Vec<(K, Result<V>)>,
}

impl<K, V> Results<K, V> {
    pub(super) fn new(items: Vec<(K, Result<V>)>) -> Self {
        Self { items }
    }

    /// All values.
    ///
    /// # Errors
    /// The first failure, which names its item.
    pub fn all(self) -> Result<Vec<(K, V)>> {
        self.items.into_iter().map(|(key, result)| Ok((key, result?))).collect()
    }

    /// The result of one item; `None` if it was not asked for.
    pub fn get<Q: Eq + ?Sized>(&self, key: &Q) -> Option<std::result::Result<&V, &Error>>
    where
        K: Borrow<Q>,
    {
        self.items.iter().find(|(k, _)| k.borrow() == key).map(|(_, result)| result.as_ref())
    }

    /// The items with their results.
    pub fn iter(&self) -> std::slice::Iter<'_, (K, Result<V>)> {
        self.items.iter()
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there was no item.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl<K, V> IntoIterator for Results<K, V> {
    type Item = (K, Result<V>);
    type IntoIter = std::vec::IntoIter<Self::Item>;
    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'a, K, V> IntoIterator for &'a Results<K, V> {
    type Item = &'a (K, Result<V>);
    type IntoIter = std::slice::Iter<'a, (K, Result<V>)>;
    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn results() -> Results<String, i32> {
        let failed = Err(Error::new(ErrorKind::UnknownTopic, "no such topic").with_subject("topic \"b\""));
        Results::new(vec![("a".to_owned(), Ok(1)), ("b".to_owned(), failed), ("c".to_owned(), Ok(3))])
    }

    #[test]
    fn all_gives_the_first_failure_with_the_name_of_its_item() {
        let error = results().all().unwrap_err();
        assert_eq!(error.to_string(), "topic \"b\": no such topic");
    }

    #[test]
    fn each_item_keeps_its_own_result_and_its_place() {
        let results = results();
        assert_eq!(results.get("a"), Some(Ok(&1)));
        assert!(results.get("b").is_some_and(|b| b.is_err()));
        assert_eq!(results.get("d"), None);
        let keys: Vec<&str> = results.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["a", "b", "c"]);
    }
}
