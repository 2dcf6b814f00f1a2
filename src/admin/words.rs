//! Words that brokers write for states and kinds.

/// Declares words of the protocol.
macro_rules! words {
    ($( $(#[$m:meta])* $name:ident { $( $(#[$vm:meta])* $variant:ident, )* } )*) => { $(
        $(#[$m])*
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( $(#[$vm])* $variant, )* }

        impl $name {
            /// As brokers write it.
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => stringify!($variant), )* }
            }

            /// Reads it, in any case.
            pub fn parse(text: &str) -> Option<Self> {
                $( if text.eq_ignore_ascii_case(stringify!($variant)) { return Some(Self::$variant); } )*
                None
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    )* };
}
