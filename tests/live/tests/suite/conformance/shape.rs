//! What may differ between two clusters that answer alike: it is reduced to its shape before answers are compared.

/// The fields that may differ, and why. Of a number it is kept whether it is negative, zero or positive, of a text and an id
/// whether there is one.
pub(super) const MAY_DIFFER: &[(&str, &str)] = &[
    ("error_message", "the wording of errors is for people; whether there is one is compared"),
    ("batch_index_error_message", "the same"),
    ("host", "where a cluster listens"),
    ("port", "where a cluster listens"),
    ("rack", "racks of the brokers are a setting"),
    ("cluster_id", "drawn when a cluster is made"),
    ("controller_id", "a broker drawn for each answer"),
    ("topic_id", "drawn when a topic is made"),
    ("producer_id", "each broker hands out ids of its own blocks"),
    ("session_id", "drawn when a session is made"),
    ("log_append_time_ms", "the broker's clock"),
    ("last_timestamp", "the broker's clock, in markers"),
    ("transaction_start_time_ms", "the broker's clock"),
    ("member_id", "drawn when a member joins"),
    ("leader", "drawn when a member joins"),
    ("documentation", "the wording is for people"),
    ("client_host", "where the client listens"),
];

/// An answer's text with such fields reduced.
pub(super) fn shape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(": ") {
        let (before, behind) = (&rest[..at], &rest[at + 2..]);
        let name = before.rsplit([' ', '(', '[', '{']).next().unwrap_or_default();
        out.push_str(&rest[..at + 2]);
        rest = behind;
        if MAY_DIFFER.iter().any(|(field, _)| *field == name) {
            let length = value_length(rest);
            out.push_str(&reduced(&rest[..length]));
            rest = &rest[length..];
        }
    }
    out.push_str(rest);
    out
}

/// How long the value is that a text begins with: to the next comma or closing bracket that is not inside of it.
fn value_length(text: &str) -> usize {
    let (mut depth, mut quoted, mut escaped) = (0i32, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' if depth == 0 => return text[..at].trim_end().len(),
            '}' | ']' | ')' => depth -= 1,
            ',' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

fn reduced(value: &str) -> String {
    if let Some(inner) = value.strip_prefix("Some(").and_then(|v| v.strip_suffix(')')) {
        return format!("Some({})", reduced(inner));
    }
    if let Some(inner) = value.strip_prefix("BrokerId(").and_then(|v| v.strip_suffix(')')) {
        return reduced(inner);
    }
    let is_zero_id = !value.is_empty() && value.chars().all(|c| c == 'A');
    match value.parse::<i64>() {
        Ok(number) if number <= 0 => value.to_owned(),
        Ok(_) => "n".to_owned(),
        Err(_) if matches!(value, "None" | "\"\"" | "[]") || is_zero_id => value.to_owned(),
        Err(_) => "~".to_owned(),
    }
}
