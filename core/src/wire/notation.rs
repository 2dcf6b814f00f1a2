//! The notation in which messages are declared.
//!
//! ```text
//! request MetadataRequest(3 -> MetadataResponse) versions 0..=13 flexible 9.. {
//!     0.., null in 1.. => topics: Option<Vec<MetadataRequestTopic>>;
//!     4.. => allow_auto_topic_creation: bool = true;
//!     8..=10 => include_cluster_authorized_operations: bool;
//! }
//! ```
//!
//! Each line is a Rust pattern of the versions that have the field, and a Rust field with its default. `null in` says
//! in which versions an `Option` may be null where that is not all of them. `ignorable` at the end says that the
//! field is silently left out of a version that does not have it; else it must be at its default there. Tagged fields
//! stand in a block of their own, `}, tagged { 0: 12.. => field: Type; }`. The word in front (`request`, `response`,
//! `data`, `part`) is for the reader.
//!
//! The default of an `Option` is `None`, also where Kafka's is an empty value: both mean the same to a reader, and no
//! version leaves out such a field by comparing it with its default.

macro_rules! messages {
    ( $(
        $(#[$m:meta])*
        $word:ident $name:ident
        $( ( $key:literal -> $response:ident ) )?
        $( versions $lo:literal ..= $hi:literal $( flexible $fx:literal .. )? )?
        { $(
            $(#[$fm:meta])* $v:pat $(, null in $nv:pat)? => $f:ident : $t:ty $(= $d:expr)? $(, $ig:ident)? ;
        )* }
        $(, tagged { $(
            $(#[$tm:meta])* $tag:literal : $tv:pat => $tf:ident : $tt:ty $(= $td:expr)? $(, $tig:ident)? ;
        )* } )?
    )* ) => { $(
        $(#[$m])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $( $(#[$fm])* pub $f: $t, )*
            $( $( $(#[$tm])* pub $tf: $tt, )* )?
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $f: default_of!($($d)?), )* $( $( $tf: default_of!($($td)?), )* )? }
            }
        }

        impl $crate::wire::Wire for $name {
            const FIELDS: &'static [$crate::wire::Field] = &[
                $( $crate::wire::Field {
                    name: stringify!($f),
                    ty: stringify!($t),
                    versions: stringify!($v),
                    nullable: text_of!($(stringify!($nv))?),
                    default: concat!($(stringify!($d))?),
                    tag: None,
                    ignorable: is_ignorable!($($ig)?),
                    fields: <$t as $crate::wire::Wire>::FIELDS,
                }, )*
                $( $( $crate::wire::Field {
                    name: stringify!($tf),
                    ty: stringify!($tt),
                    versions: stringify!($tv),
                    nullable: None,
                    default: concat!($(stringify!($td))?),
                    tag: Some($tag),
                    ignorable: is_ignorable!($($tig)?),
                    fields: <$tt as $crate::wire::Wire>::FIELDS,
                }, )* )?
            ];

            fn min_size(v: $crate::wire::Version) -> usize {
                usize::from(v.flexible)
                    $( + if matches!(v.number, $v) { <$t as $crate::wire::Wire>::min_size(v) } else { 0 } )*
            }

            fn put(&self, w: &mut $crate::wire::Writer, v: $crate::wire::Version) {
                $(
                    w.field(stringify!($f));
                    if matches!(v.number, $v) {
                        $( if !matches!(v.number, $nv) && $crate::wire::Wire::is_null(&self.$f) {
                            w.fail($crate::wire::EncodeErrorKind::Null);
                        } )?
                        self.$f.put(w, v);
                    } else if !is_ignorable!($($ig)?) {
                        let default: $t = default_of!($($d)?);
                        if self.$f != default {
                            w.fail($crate::wire::EncodeErrorKind::Unrepresentable);
                        }
                    }
                )*
                $( $(
                    w.field(stringify!($tf));
                    let default: $tt = default_of!($($td)?);
                    let $tf = self.$tf != default;
                    if $tf && !(v.flexible && matches!(v.number, $tv)) && !is_ignorable!($($tig)?) {
                        w.fail($crate::wire::EncodeErrorKind::Unrepresentable);
                    }
                    let $tf = $tf && matches!(v.number, $tv);
                )* )?
                if v.flexible {
                    w.uvarint(0 $( $( + u32::from($tf) )* )?);
                    $( $( if $tf {
                        w.field(stringify!($tf));
                        w.tag($tag, |w| self.$tf.put(w, v));
                    } )* )?
                }
            }

            fn get(
                r: &mut $crate::wire::Reader<'_>,
                v: $crate::wire::Version,
            ) -> Result<Self, $crate::wire::DecodeError> {
                $( let $f: $t = if matches!(v.number, $v) {
                    let value = $crate::wire::Wire::get(r, v).map_err(|e| e.within(stringify!($f)))?;
                    $( if !matches!(v.number, $nv) && $crate::wire::Wire::is_null(&value) {
                        return Err(r.error($crate::wire::DecodeErrorKind::Null).within(stringify!($f)));
                    } )?
                    value
                } else {
                    default_of!($($d)?)
                }; )*
                $( $( let mut $tf: $tt = default_of!($($td)?); )* )?
                if v.flexible {
                    r.tags(|_tag, _body| match _tag {
                        $( $( $tag if matches!(v.number, $tv) => {
                            $tf = $crate::wire::Wire::get(_body, v).map_err(|e| e.within(stringify!($tf)))?;
                            Ok(true)
                        } )* )?
                        _ => Ok(false),
                    })?;
                }
                Ok(Self { $( $f, )* $( $( $tf, )* )? })
            }

            #[cfg(any(test, feature = "arbitrary"))]
            fn arbitrary(_rng: &mut fastrand::Rng, v: $crate::wire::Version) -> Self {
                let mut value = Self::default();
                $( if matches!(v.number, $v) {
                    value.$f = $crate::wire::Wire::arbitrary(_rng, v);
                    $( while !matches!(v.number, $nv) && $crate::wire::Wire::is_null(&value.$f) {
                        value.$f = $crate::wire::Wire::arbitrary(_rng, v);
                    } )?
                } )*
                $( $( if v.flexible && matches!(v.number, $tv) {
                    value.$tf = $crate::wire::Wire::arbitrary(_rng, v);
                } )* )?
                value
            }
        }

        impl $crate::wire::primitive::Nullable for $name {
            fn min_nullable(_: $crate::wire::Version) -> usize {
                1
            }
            fn put_null(w: &mut $crate::wire::Writer, _: $crate::wire::Version) {
                w.i8(-1);
            }
            fn put_some(&self, w: &mut $crate::wire::Writer, v: $crate::wire::Version) {
                w.i8(1);
                $crate::wire::Wire::put(self, w, v);
            }
            fn get_nullable(
                r: &mut $crate::wire::Reader<'_>,
                v: $crate::wire::Version,
            ) -> Result<Option<Self>, $crate::wire::DecodeError> {
                if r.i8()? < 0 { Ok(None) } else { $crate::wire::Wire::get(r, v).map(Some) }
            }
        }

        $( impl $crate::wire::Message for $name {
            const NAME: &'static str = stringify!($name);
            const MIN: i16 = $lo;
            const MAX: i16 = $hi;
            const FLEXIBLE: i16 = first_flexible!($($fx)?);
        } )?

        $( impl $crate::wire::Request for $name {
            const KEY: $crate::wire::ApiKey = $crate::wire::ApiKey($key);
            type Response = $response;
        } )?
    )* };
}

macro_rules! default_of {
    () => {
        Default::default()
    };
    ($d:expr) => {
        $d
    };
}

macro_rules! text_of {
    () => {
        None
    };
    ($text:expr) => {
        Some($text)
    };
}

macro_rules! is_ignorable {
    () => {
        false
    };
    (ignorable) => {
        true
    };
}

macro_rules! first_flexible {
    () => {
        i16::MAX
    };
    ($first:literal) => {
        $first
    };
}
