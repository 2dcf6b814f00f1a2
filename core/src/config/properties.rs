//! The syntax of Java's `.properties` files, in full (`java.util.Properties.load`).

/// One line that sets something, or fails to.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it begins, counted from 1.
    pub number: u32,
    /// Key and value, or what is wrong.
    pub pair: Result<(String, String), &'static str>,
}

/// Reads all lines, blank ones and comments left out.
pub fn parse(text: &str) -> Vec<Line> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = vec![];
    let mut natural = natural_lines(text);
    while let Some((number, line)) = natural.next() {
        let first = line.trim_start_matches(BLANK);
        // A comment ends with its line, whatever that ends with.
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_owned();
        while continues(&logical) {
            logical.pop();
            // Nothing yet: the next line begins anew, and may be a comment.
            if logical.is_empty() {
                break;
            }
            let Some((_, next)) = natural.next() else { break };
            logical.push_str(next.trim_start_matches(BLANK));
        }
        if !logical.is_empty() {
            found.push(Line { number, pair: pair(&logical) });
        }
    }
    found
}

const BLANK: [char; 3] = [' ', '\t', '\u{c}'];

/// Lines that end with `\n`, `\r` or both.
fn natural_lines(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let mut rest = Some(text);
    let mut number = 0;
    std::iter::from_fn(move || {
        let text = rest.take()?;
        number += 1;
        let Some(end) = text.find(['\n', '\r']) else { return Some((number, text)) };
        let after = if text[end..].starts_with("\r\n") { end + 2 } else { end + 1 };
        rest = Some(&text[after..]);
        Some((number, &text[..end]))
    })
}

/// Whether a line ends with a backslash that is not escaped itself.
fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

/// Cuts a logical line at the first separator that is not escaped.
fn pair(line: &str) -> Result<(String, String), &'static str> {
    let mut escaped = false;
    let end = line.find(|c: char| match c {
        _ if escaped => {
            escaped = false;
            false
        }
        '\\' => {
            escaped = true;
            false
        }
        '=' | ':' => true,
        other => BLANK.contains(&other),
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(BLANK);
    let value = rest.strip_prefix(['=', ':']).map_or(rest, |rest| rest.trim_start_matches(BLANK));
    Ok((unescape(key)?, unescape(value)?))
}

fn unescape(text: &str) -> Result<String, &'static str> {
    if !text.contains('\\') {
        return Ok(text.into());
    }
    // Java's text is UTF-16, and so are its escapes: one character may take two of them.
    let mut units = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let meant = match c {
            '\\' => match chars.next() {
                None => break,
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some('u') => {
                    let digits = chars.as_str().get(..4).ok_or(MALFORMED)?;
                    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                        return Err(MALFORMED);
                    }
                    units.push(u16::from_str_radix(digits, 16).map_err(|_| MALFORMED)?);
                    chars = chars.as_str()[4..].chars();
                    continue;
                }
                Some(other) => other,
            },
            other => other,
        };
        units.extend_from_slice(meant.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16(&units).map_err(|_| "a \\u escape is half of a character")
}

const MALFORMED: &str = "\\u is not followed by four hexadecimal digits";

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(u32, String, String)> {
        let read = |line: Line| line.pair.map(|(key, value)| (line.number, key, value));
        parse(text).into_iter().map(read).collect::<Result<_, _>>().unwrap()
    }
    fn one(text: &str) -> (String, String) {
        let [(_, key, value)] = &pairs(text)[..] else { panic!("{text:?} gave {:?}", parse(text)) };
        (key.clone(), value.clone())
    }
    fn is(key: &str, value: &str) -> (String, String) {
        (key.into(), value.into())
    }

    #[test]
    fn keys_end_at_an_equals_sign_a_colon_or_a_blank() {
        for text in ["a=b", "a:b", "a b", "  a = b", "a\t:\tb", "a\u{c}b"] {
            assert_eq!(one(text), is("a", "b"), "{text:?}");
        }
        assert_eq!(one("a"), is("a", ""));
        assert_eq!(one("a="), is("a", ""));
        assert_eq!(one("=b"), is("", "b"));
        assert_eq!(one("a==b"), is("a", "=b"));
        assert_eq!(one("a : = b"), is("a", "= b"));
        assert_eq!(one("servers=a:1,b:2"), is("servers", "a:1,b:2"));
        assert_eq!(one("a=b  "), is("a", "b  "));
    }

    #[test]
    fn comments_and_blank_lines_are_left_out_and_lines_are_counted() {
        let text = "# first\\\n\n ! second\r\na=1\r\t\u{c} \rb=2\n\n#c=3";
        assert_eq!(pairs(text), [(4, "a".into(), "1".into()), (6, "b".into(), "2".into())]);
    }

    #[test]
    fn a_backslash_at_the_end_goes_on_with_the_next_line() {
        assert_eq!(one("a=b,\\\n   c,\\\r\n\td"), is("a", "b,c,d"));
        assert_eq!(one("a\\\n=b"), is("a", "b"));
        assert_eq!(pairs("a=b\\\\\nc=d"), [(1, "a".into(), "b\\".into()), (2, "c".into(), "d".into())]);
        assert_eq!(one("a=b\\\n# not a comment"), is("a", "b# not a comment"));
        assert_eq!(one("a=b\\"), is("a", "b"));
        assert_eq!(pairs("a=b\\\n\nc=d").len(), 2);
        assert_eq!(pairs("\\\n#c\na=b"), [(3, "a".into(), "b".into())]);
    }

    #[test]
    fn escapes_mean_what_they_mean_in_java() {
        assert_eq!(one(r"a\ b\:c\=d = x\ty\nz\\"), is("a b:c=d", "x\ty\nz\\"));
        assert_eq!(one(r"a=\u00e9\u20AC\q\r\f"), is("a", "é€q\r\u{c}"));
        assert_eq!(one(r"a=\ud83d\ude00"), is("a", "😀"));
        assert_eq!(one(r"\#a=\!b"), is("#a", "!b"));
        assert_eq!(one("ä=ö"), is("ä", "ö"));
    }

    #[test]
    fn a_malformed_escape_is_told_with_its_line() {
        for bad in [r"a=\u12", r"a=\u00g0", r"a=\ud83d", r"a=\u+123", "a=\\u12é"] {
            let lines = parse(&format!("x=1\n{bad}"));
            assert_eq!(lines[1].number, 2);
            assert!(lines[1].pair.is_err(), "{bad}");
        }
    }
}
