//! The notation in which a section declares its keys: each line makes a row of the table, a field of the validated
//! configuration and a setter of its builder.

/// `None` for the word `none`, else the text.
macro_rules! default_of {
    (none) => {
        None
    };
    ($text:literal) => {
        Some($text)
    };
}

/// The last line of a setter's documentation.
macro_rules! default_doc {
    ($key:literal, none) => {
        concat!("`", $key, "`; not set by default.")
    };
    ($key:literal, "") => {
        concat!("`", $key, "`; empty by default.")
    };
    ($key:literal, $text:literal) => {
        concat!("`", $key, "`, by default `", $text, "`.")
    };
}

/// One setter: `plain` takes the field's type, `same` too (its key is its name, which cannot be an alias of itself),
/// `text` whatever becomes a `String`; `own` is written by hand.
macro_rules! setter {
    ($Builder:ident own $name:ident $ty:ty, $key:literal, $default:tt, $($doc:literal)+) => {};
    ($Builder:ident plain $name:ident $ty:ty, $key:literal, $default:tt, $($doc:literal)+) => {
        impl crate::config::builder::$Builder {
            $(#[doc = $doc])+
            ///
            #[doc = default_doc!($key, $default)]
            #[doc(alias = $key)]
            #[must_use]
            pub fn $name(self, value: $ty) -> Self {
                self.put($key, &crate::config::value::Value::write(&value))
            }
        }
    };
    ($Builder:ident same $name:ident $ty:ty, $key:literal, $default:tt, $($doc:literal)+) => {
        impl crate::config::builder::$Builder {
            $(#[doc = $doc])+
            ///
            #[doc = default_doc!($key, $default)]
            #[must_use]
            pub fn $name(self, value: $ty) -> Self {
                self.put($key, &crate::config::value::Value::write(&value))
            }
        }
    };
    ($Builder:ident text $name:ident $ty:ty, $key:literal, $default:tt, $($doc:literal)+) => {
        impl crate::config::builder::$Builder {
            $(#[doc = $doc])+
            ///
            #[doc = default_doc!($key, $default)]
            #[doc(alias = $key)]
            #[must_use]
            pub fn $name(self, value: impl Into<String>) -> Self {
                self.put($key, &value.into())
            }
        }
    };
}

/// `keys` makes all three of them from one line. `read` makes fields that are read from several keys, which stand under
/// `rows`: keys without a field or setter of their own.
macro_rules! section {
    (
        $(#[$outer:meta])*
        $Config:ident built by $Builder:ident in $Section:ident;
        keys { $(
            $(#[doc = $doc:literal])+
            $form:ident $name:ident: $ty:ty = $key:literal $kind:ident $default:tt $([ $($refine:tt)* ])?;
        )* }
        read { $( $(#[doc = $rdoc:literal])+ $rname:ident: $rty:ty = $read:expr; )* }
        rows { $( $odoc:literal $okey:literal $okind:ident $odefault:tt [ $($orefine:tt)* ]; )* }
    ) => {
        $(#[$outer])*
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub struct $Config {
            $( $(#[doc = $doc])+ pub $name: $ty, )*
            $( $(#[doc = $rdoc])+ pub $rname: $rty, )*
        }

        impl $Config {
            pub(super) fn read(reader: &mut $crate::config::reader::Reader<'_>) -> Self {
                Self {
                    $( $name: reader.get($key), )*
                    $( $rname: ($read)(reader), )*
                }
            }
        }

        impl Default for $Config {
            /// What it is if nothing is set.
            fn default() -> Self {
                Self::read(&mut $crate::config::reader::Reader::of_defaults($crate::config::Section::$Section))
            }
        }

        $( setter! { $Builder $form $name $ty, $key, $default, $($doc)+ } )*

        pub(super) const KEYS: &[$crate::config::Key] = &[
            $(
                $crate::config::Key::new($key, $crate::config::Kind::$kind)
                    .default(default_of!($default))
                    .field(stringify!($name))
                    .placed($crate::config::Section::$Section, concat!($($doc),+))
                    $($($refine)*)?,
            )*
            $(
                $crate::config::Key::new($okey, $crate::config::Kind::$okind)
                    .default(default_of!($odefault))
                    .placed($crate::config::Section::$Section, $odoc)
                    $($orefine)*,
            )*
        ];
    };
}
