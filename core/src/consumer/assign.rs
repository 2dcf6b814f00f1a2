//! Who gets what: the assignors that a group's leader runs.

use std::collections::{BTreeMap, BTreeSet};

/// A member as its leader sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) id: String,
    /// `group.instance.id`
    pub(super) instance: Option<String>,
    pub(super) topics: BTreeSet<String>,
}

/// What each member gets, by member id and topic. Every member has an entry.
pub(super) type Assignment = BTreeMap<String, BTreeMap<String, Vec<i32>>>;

/// Neighbouring partitions of each topic; the first members get one more where it does not come out even. Static members
/// come first and are ordered by their instance ids, so that a restart does not move anything. Equal partition counts and
/// equal members give equal numbers: co-partitioned topics meet. (Java: `RangeAssignor`, without racks.)
pub(super) fn range(members: &[Member], partitions: &BTreeMap<String, usize>) -> Assignment {
    let mut sorted: Vec<&Member> = members.iter().collect();
    sorted.sort_by_key(|m| (m.instance.is_none(), m.instance.as_deref().unwrap_or_default(), m.id.as_str()));
    let mut assignment: Assignment = members.iter().map(|m| (m.id.clone(), BTreeMap::new())).collect();
    for (topic, count) in partitions {
        let readers: Vec<&Member> = sorted.iter().filter(|m| m.topics.contains(topic)).copied().collect();
        if readers.is_empty() {
            continue;
        }
        let (each, more) = (count / readers.len(), count % readers.len());
        let mut next = 0;
        for (place, member) in readers.iter().enumerate() {
            let n = each + usize::from(place < more);
            let numbers: Vec<i32> = (next..next + n).filter_map(|n| i32::try_from(n).ok()).collect();
            next += n;
            if let Some(topics) = assignment.get_mut(&member.id).filter(|_| !numbers.is_empty()) {
                topics.insert(topic.clone(), numbers);
            }
        }
    }
    assignment
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, instance: Option<&str>, topics: &[&str]) -> Member {
        let topics = topics.iter().map(|t| (*t).to_owned()).collect();
        Member { id: id.to_owned(), instance: instance.map(str::to_owned), topics }
    }

    fn counts(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
        counts.iter().map(|(t, n)| ((*t).to_owned(), *n)).collect()
    }

    fn got(assignment: &Assignment, id: &str) -> String {
        let list = |(t, p): (&String, &Vec<i32>)| p.iter().map(|n| format!("{t}-{n}")).collect::<Vec<_>>();
        assignment[id].iter().flat_map(list).collect::<Vec<_>>().join(" ")
    }

    // The expectations are those of Java's RangeAssignorTest.

    #[test]
    fn one_consumer_without_topics_or_with_an_unknown_one_gets_nothing() {
        assert_eq!(got(&range(&[member("c", None, &[])], &counts(&[])), "c"), "");
        assert_eq!(got(&range(&[member("c", None, &["t"])], &counts(&[])), "c"), "");
    }

    #[test]
    fn one_consumer_gets_all_of_its_topics_and_of_no_other() {
        let a = range(&[member("c", None, &["t1"])], &counts(&[("t1", 3), ("other", 3)]));
        assert_eq!(got(&a, "c"), "t1-0 t1-1 t1-2");
        let a = range(&[member("c", None, &["t1", "t2"])], &counts(&[("t1", 1), ("t2", 2)]));
        assert_eq!(got(&a, "c"), "t1-0 t2-0 t2-1");
    }

    #[test]
    fn two_consumers_share_as_java_shares() {
        let two = [member("c1", None, &["t1", "t2"]), member("c2", None, &["t1", "t2"])];
        let a = range(&two, &counts(&[("t1", 1), ("t2", 1)]));
        assert_eq!((got(&a, "c1"), got(&a, "c2")), ("t1-0 t2-0".into(), String::new()));
        let a = range(&two, &counts(&[("t1", 3), ("t2", 3)]));
        assert_eq!((got(&a, "c1"), got(&a, "c2")), ("t1-0 t1-1 t2-0 t2-1".into(), "t1-2 t2-2".into()));
    }

    #[test]
    fn consumers_with_different_topics_share_each_topic_among_its_readers() {
        let three = [member("c1", None, &["t1"]), member("c2", None, &["t1", "t2"]), member("c3", None, &["t1"])];
        let a = range(&three, &counts(&[("t1", 3), ("t2", 2)]));
        assert_eq!(
            (got(&a, "c1"), got(&a, "c2"), got(&a, "c3")),
            ("t1-0".into(), "t1-1 t2-0 t2-1".into(), "t1-2".into())
        );
    }

    #[test]
    fn static_members_come_first_in_the_order_of_their_instances_whatever_their_ids() {
        let three = [member("z", Some("i1"), &["t"]), member("a", None, &["t"]), member("b", Some("i2"), &["t"])];
        let a = range(&three, &counts(&[("t", 4)]));
        assert_eq!((got(&a, "z"), got(&a, "b"), got(&a, "a")), ("t-0 t-1".into(), "t-2".into(), "t-3".into()));
        let restarted = [member("0", Some("i2"), &["t"]), member("a", None, &["t"]), member("z", Some("i1"), &["t"])];
        let again = range(&restarted, &counts(&[("t", 4)]));
        assert_eq!((got(&again, "z"), got(&again, "0")), ("t-0 t-1".into(), "t-2".into()));
    }

    #[test]
    fn every_partition_has_one_owner_and_the_shares_differ_by_one_at_most() {
        for n in 1..8usize {
            for count in 0..20usize {
                let members: Vec<Member> = (0..n).map(|i| member(&format!("m{i}"), None, &["t"])).collect();
                let a = range(&members, &counts(&[("t", count)]));
                let shares: Vec<usize> = a.values().map(|t| t.values().map(Vec::len).sum()).collect();
                let mut all: Vec<i32> = a.values().flat_map(|t| t.values().flatten().copied()).collect();
                all.sort_unstable();
                assert_eq!(all, (0..count as i32).collect::<Vec<_>>());
                assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
            }
        }
    }
}
