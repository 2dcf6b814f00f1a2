//! Escapes in delimiters and formats.

/// Reads `\n`, `\r`, `\t`, `\0`, `\\` and `\xNN`.
pub(crate) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let mut chars = rest[at + 1..].chars();
        let escaped = chars.next();
        rest = chars.as_str();
        out.push(match escaped {
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('t') => b'\t',
            Some('0') => 0,
            Some('\\') => b'\\',
            Some('x') => {
                let byte = rest.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
                let byte = byte.ok_or_else(|| "\\x: two hex digits are wanted".to_owned())?;
                rest = &rest[2..];
                byte
            }
            Some(other) => return Err(format!("\\{other} is not known")),
            None => return Err("a single \\ at the end".to_owned()),
        });
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_and_unknown_ones_refused() {
        assert_eq!(unescape(r"a\n\t\x00\xfF\\").unwrap(), b"a\n\t\x00\xff\\");
        for wrong in [r"\q", r"\", r"\x", r"\x1", r"\xzz", "\\xé"] {
            assert!(unescape(wrong).is_err(), "{wrong}");
        }
    }
}
