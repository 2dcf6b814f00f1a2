//! No public future is forgotten: the list of them is read from the sources.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a source says of the public interface.
#[derive(Default)]
struct Public {
    /// Types that can be awaited, or polled for more.
    futures: BTreeSet<String>,
    /// The type, name and result of each function.
    calls: Vec<(String, String, String)>,
}

fn sources(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the sources are there") {
        let path = entry.expect("a folder is readable").path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            all.push(path);
        }
    }
    all.sort();
}

/// The name that a line begins with.
fn name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The type that an `impl` is about, and the trait.
fn subject(line: &str) -> (String, String) {
    let mut rest = line.trim_start_matches("impl");
    if rest.starts_with('<') {
        let (mut depth, mut before) = (0, ' ');
        let end = rest.find(|c| {
            depth += i32::from(c == '<') - i32::from(c == '>' && before != '-');
            before = c;
            depth == 0
        });
        rest = &rest[end.expect("its parameters end") + 1..];
    }
    let (of, about) = rest.split_once(" for ").unwrap_or(("", rest));
    let last = |path: &str| name(path.trim().rsplit("::").next().unwrap_or_default());
    (last(about.split('<').next().unwrap_or_default()), last(of.split('<').next().unwrap_or_default()))
}

impl Public {
    fn read(&mut self, text: &str) {
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let mut lines = text.lines();
        let mut about = String::new();
        let mut operation = false;
        while let Some(line) = lines.next() {
            if line.starts_with("op! {") {
                (about, operation) = ("Admin".to_owned(), true);
            } else if line.starts_with("impl") {
                let (subject, of) = subject(line);
                operation = false;
                if ["Future", "Stream", "IntoFuture"].contains(&of.as_str()) {
                    self.futures.insert(subject.clone());
                }
                about = subject;
            } else if operation && line.starts_with("    ") && line.trim_start().starts_with(char::is_lowercase) {
                operation = false;
                self.calls.push((about.clone(), name(line.trim_start()), "Op".to_owned()));
            } else if let Some(rest) = line.trim_start().strip_prefix("pub ") {
                let (waits, rest) = match rest.strip_prefix("async ") {
                    Some(rest) => (true, rest),
                    None => (false, rest),
                };
                let Some(rest) = rest.strip_prefix("fn ") else { continue };
                let mut head = rest.to_owned();
                while !head.contains('{') {
                    head.push_str(lines.next().expect("a function has a body"));
                }
                let result = head.rsplit_once("->").map(|(_, result)| result.trim().to_owned()).unwrap_or_default();
                let result = if waits { "impl Future".to_owned() } else { result };
                self.calls.push((about.clone(), name(rest), result));
            }
        }
    }

    /// The functions that give a future.
    fn waiting(&self) -> BTreeSet<String> {
        let words = |text: &str| -> Vec<String> {
            text.split(|c: char| !c.is_alphanumeric() && c != '_').map(ToOwned::to_owned).collect()
        };
        let gives = |about: &str, result: &str| {
            let own = self.futures.contains(about);
            words(result).iter().any(|w| self.futures.contains(w) || w == "Future" || (own && w == "Self"))
        };
        let all = self.calls.iter().filter(|(about, _, result)| gives(about, result));
        all.map(|(about, name, _)| format!("{about}::{name}")).collect()
    }
}

#[test]
fn every_public_future_has_a_case() {
    let (mut files, mut public) = (Vec::new(), Public::default());
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src"), &mut files);
    for file in files {
        public.read(&std::fs::read_to_string(file).expect("a source is readable"));
    }
    let waiting = public.waiting();
    assert!(public.futures.len() >= 13 && waiting.len() >= 60, "the list is not read well: {:?}", public.futures);
    let of_here = [
        super::admin::CALLS,
        super::client::CALLS,
        super::commits::CALLS,
        super::consuming::CALLS,
        super::eos::CALLS,
        super::producing::CALLS,
        super::sending::CALLS,
        super::streams::CALLS,
        super::transacting::CALLS,
        super::two_phase::CALLS,
    ];
    let cases: BTreeSet<String> = of_here.concat().into_iter().map(ToOwned::to_owned).collect();
    let forgotten: Vec<_> = waiting.difference(&cases).collect();
    assert!(forgotten.is_empty(), "futures without a case here: {forgotten:#?}");
    let unknown: Vec<_> = cases.difference(&waiting).collect();
    assert!(unknown.is_empty(), "there are no such calls any more: {unknown:#?}");
}

#[test]
fn the_list_is_read_from_sources_as_they_are_written() {
    let mut public = Public::default();
    public.read(
        "impl<T> Future for Op<T> {\nimpl<T, F: Fn(&str) -> T> Future for Mine<'_, T> {\nimpl Giver {\n    pub fn give<A>(\n        &self,\n    ) -> Result<Mine<'_, A>>\n    where\n        A: B,\n    {\n    pub fn not(&self) -> u8 {\n    pub async fn later(&self) {\n",
    );
    public.read("op! {\n    /// Doc.\n    list_it() -> Vec<u8>;\n    ListIt { flags {} lists {} }\n");
    let found: Vec<_> = public.waiting().into_iter().collect();
    assert_eq!(found, ["Admin::list_it", "Giver::give", "Giver::later"]);
}
