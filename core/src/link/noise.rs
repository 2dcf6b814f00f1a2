//! What answers where a Kafka broker was expected.

/// What the first bytes of a peer tell about it and what to do, if they are known ones.
pub(super) fn recognise(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    const ADDRESS: &str = "bootstrap.servers and advertised.listeners must name Kafka's own port";
    const TLS: &str = "set security.protocol=SSL or SASL_SSL, or connect to a PLAINTEXT listener";
    Some(match bytes {
        [b'H', b'T', b'T', b'P', ..] | [b'<', b'h' | b'H' | b'!', ..] => ("it speaks HTTP", ADDRESS),
        // TLS records: an alert or a handshake of version 3.x.
        [0x15 | 0x16, 0x03, 0..=4, ..] => ("it speaks TLS", TLS),
        [b'S', b'S', b'H', b'-', ..] => ("it speaks SSH", ADDRESS),
        [b'-', b'E', b'R', b'R', ..] => ("it speaks Redis's protocol", ADDRESS),
        [b'2', b'2', b'0', b' ' | b'-', ..] => ("it speaks SMTP or FTP", ADDRESS),
        [b'A', b'M', b'Q', b'P', ..] => ("it speaks AMQP", ADDRESS),
        _ => return None,
    })
}

/// The first bytes, to be shown to people.
pub(super) fn show(bytes: &[u8]) -> String {
    let shown = bytes.get(..bytes.len().min(8)).unwrap_or_default();
    shown.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_protocols_are_recognised_by_their_first_bytes() {
        for (bytes, says) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], "it speaks HTTP"),
            (b"<html>", "it speaks HTTP"),
            (b"\x15\x03\x03\x00\x02\x02\x50", "it speaks TLS"),
            (b"\x16\x03\x01\x02\x00", "it speaks TLS"),
            (b"SSH-2.0-OpenSSH", "it speaks SSH"),
            (b"-ERR unknown command", "it speaks Redis's protocol"),
            (b"220 mail ESMTP", "it speaks SMTP or FTP"),
            (b"AMQP\x00\x00\x09\x01", "it speaks AMQP"),
        ] {
            assert_eq!(recognise(bytes).map(|(what, _)| what), Some(says));
        }
        assert_eq!(recognise(b"\x00\x00\x00\x10"), None);
        assert_eq!(recognise(b""), None);
    }

    #[test]
    fn bytes_are_shown_in_hex_and_not_too_many() {
        assert_eq!(show(b"\x00\xff"), "00 ff");
        assert_eq!(show(&[1; 100]), "01 01 01 01 01 01 01 01");
    }
}
