//! What a declared message says of itself, as text.

/// A field as it stands in the `messages!` notation. Made for the parity test; nothing of it is left in a program
/// that does not ask.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its Rust type.
    pub ty: &'static str,
    /// The versions that have it, as a Rust pattern.
    pub versions: &'static str,
    /// The versions in which an `Option` may be null, if not in all of them, as a Rust pattern.
    pub nullable: Option<&'static str>,
    /// Its default as a Rust expression, empty for that of its type.
    pub default: &'static str,
    /// Its tag, if it is a tagged field.
    pub tag: Option<u32>,
    /// Whether it is silently left out in versions that do not have it.
    pub ignorable: bool,
    /// The fields of the structure that it is, or is an array of.
    pub fields: &'static [Field],
}
