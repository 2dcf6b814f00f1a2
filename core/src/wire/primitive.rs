//! The form on the wire of every type that a field can have.

use super::{ApiKey, DecodeError, DecodeErrorKind, Field, Reader, Uuid, Version, Wire, Writer};
use crate::error::ErrorCode;
use crate::ids::BrokerId;
use bytes::Bytes;

fn fixed<const N: usize>(chunk: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(chunk);
    array
}

macro_rules! numbers {
    ($( $t:ident )*) => { $(
        impl Wire for $t {
            fn min_size(_: Version) -> usize {
                size_of::<$t>()
            }
            fn put(&self, w: &mut Writer, _: Version) {
                w.$t(*self);
            }
            fn get(r: &mut Reader<'_>, _: Version) -> Result<Self, DecodeError> {
                r.$t()
            }
            fn get_many(r: &mut Reader<'_>, _: Version, n: usize) -> Result<Vec<Self>, DecodeError> {
                let bytes = r.take(n.saturating_mul(size_of::<$t>()))?;
                Ok(bytes.chunks_exact(size_of::<$t>()).map(|c| <$t>::from_be_bytes(fixed(c))).collect())
            }
            #[cfg(any(test, feature = "arbitrary"))]
            fn arbitrary(rng: &mut fastrand::Rng, _: Version) -> Self {
                match rng.u8(..4) {
                    0 => [$t::MIN, $t::MAX, 0 as $t, 1 as $t][rng.usize(..4)],
                    1 => rng.u8(..100) as $t,
                    _ => rng.u64(..) as $t,
                }
            }
        }
    )* };
}

numbers! { i8 i16 u16 i32 i64 f64 }

macro_rules! newtypes {
    ($( $name:ident($t:ident); )*) => { $(
        impl Wire for $name {
            fn min_size(v: Version) -> usize {
                <$t>::min_size(v)
            }
            fn put(&self, w: &mut Writer, _: Version) {
                w.$t(self.0);
            }
            fn get(r: &mut Reader<'_>, _: Version) -> Result<Self, DecodeError> {
                r.$t().map(Self)
            }
            fn get_many(r: &mut Reader<'_>, v: Version, n: usize) -> Result<Vec<Self>, DecodeError> {
                Ok(<$t>::get_many(r, v, n)?.into_iter().map(Self).collect())
            }
            #[cfg(any(test, feature = "arbitrary"))]
            fn arbitrary(rng: &mut fastrand::Rng, v: Version) -> Self {
                Self(<$t>::arbitrary(rng, v))
            }
        }
    )* };
}

newtypes! {
    ApiKey(i16);
    BrokerId(i32);
    ErrorCode(i16);
}

impl Wire for bool {
    fn min_size(_: Version) -> usize {
        1
    }
    fn put(&self, w: &mut Writer, _: Version) {
        w.bool(*self);
    }
    fn get(r: &mut Reader<'_>, _: Version) -> Result<Self, DecodeError> {
        r.bool()
    }
    #[cfg(any(test, feature = "arbitrary"))]
    fn arbitrary(rng: &mut fastrand::Rng, _: Version) -> Self {
        rng.bool()
    }
}

impl Wire for Uuid {
    fn min_size(_: Version) -> usize {
        16
    }
    fn put(&self, w: &mut Writer, _: Version) {
        w.uuid(*self);
    }
    fn get(r: &mut Reader<'_>, _: Version) -> Result<Self, DecodeError> {
        r.uuid()
    }
    #[cfg(any(test, feature = "arbitrary"))]
    fn arbitrary(rng: &mut fastrand::Rng, _: Version) -> Self {
        Self(rng.u128(..).to_be_bytes())
    }
}

/// A type that has a form for null.
pub trait Nullable: Wire {
    /// The least number of bytes that it takes, null included.
    fn min_nullable(v: Version) -> usize;

    /// Writes null.
    fn put_null(w: &mut Writer, v: Version);

    /// Writes a value where null would be possible.
    fn put_some(&self, w: &mut Writer, v: Version) {
        self.put(w, v);
    }

    /// Reads a value or null.
    fn get_nullable(r: &mut Reader<'_>, v: Version) -> Result<Option<Self>, DecodeError>;
}

fn not_null<T: Nullable>(r: &mut Reader<'_>, v: Version) -> Result<T, DecodeError> {
    let start = r.offset();
    T::get_nullable(r, v)?.ok_or_else(|| DecodeError::new(DecodeErrorKind::Null, start))
}

impl Wire for String {
    fn min_size(v: Version) -> usize {
        if v.flexible { 1 } else { 2 }
    }
    fn put(&self, w: &mut Writer, v: Version) {
        w.str(Some(self), v);
    }
    fn get(r: &mut Reader<'_>, v: Version) -> Result<Self, DecodeError> {
        not_null(r, v)
    }
    #[cfg(any(test, feature = "arbitrary"))]
    fn arbitrary(rng: &mut fastrand::Rng, _: Version) -> Self {
        // Mostly short, now and then long enough for a length of two bytes.
        let n = if rng.u8(..16) == 0 { rng.usize(..300) } else { rng.usize(..6) };
        (0..n).map(|_| rng.char(..)).collect()
    }
}

impl Nullable for String {
    fn min_nullable(v: Version) -> usize {
        Self::min_size(v)
    }
    fn put_null(w: &mut Writer, v: Version) {
        w.str(None, v);
    }
    fn get_nullable(r: &mut Reader<'_>, v: Version) -> Result<Option<Self>, DecodeError> {
        Ok(r.str(v)?.map(str::to_owned))
    }
}

impl Wire for Bytes {
    fn min_size(v: Version) -> usize {
        if v.flexible { 1 } else { 4 }
    }
    fn put(&self, w: &mut Writer, v: Version) {
        w.byte_field(Some(self), v);
    }
    fn get(r: &mut Reader<'_>, v: Version) -> Result<Self, DecodeError> {
        not_null(r, v)
    }
    #[cfg(any(test, feature = "arbitrary"))]
    fn arbitrary(rng: &mut fastrand::Rng, _: Version) -> Self {
        let n = if rng.u8(..16) == 0 { rng.usize(..300) } else { rng.usize(..6) };
        (0..n).map(|_| rng.u8(..)).collect()
    }
}

impl Nullable for Bytes {
    fn min_nullable(v: Version) -> usize {
        Self::min_size(v)
    }
    fn put_null(w: &mut Writer, v: Version) {
        w.byte_field(None, v);
    }
    fn get_nullable(r: &mut Reader<'_>, v: Version) -> Result<Option<Self>, DecodeError> {
        match r.bytes_len(v)? {
            None => Ok(None),
            Some(n) => r.take_bytes(n).map(Some),
        }
    }
}

impl<T: Wire> Wire for Vec<T> {
    const FIELDS: &'static [Field] = T::FIELDS;

    fn min_size(v: Version) -> usize {
        if v.flexible { 1 } else { 4 }
    }
    fn put(&self, w: &mut Writer, v: Version) {
        w.array_len(Some(self.len()), v);
        for item in self {
            item.put(w, v);
        }
    }
    fn get(r: &mut Reader<'_>, v: Version) -> Result<Self, DecodeError> {
        not_null(r, v)
    }
    #[cfg(any(test, feature = "arbitrary"))]
    fn arbitrary(rng: &mut fastrand::Rng, v: Version) -> Self {
        let n = rng.usize(..4);
        (0..n).map(|_| T::arbitrary(rng, v)).collect()
    }
}

impl<T: Wire> Nullable for Vec<T> {
    fn min_nullable(v: Version) -> usize {
        Self::min_size(v)
    }
    fn put_null(w: &mut Writer, v: Version) {
        w.array_len(None, v);
    }
    fn get_nullable(r: &mut Reader<'_>, v: Version) -> Result<Option<Self>, DecodeError> {
        match r.array_len(v, T::min_size(v))? {
            None => Ok(None),
            Some(n) => T::get_many(r, v, n).map(Some),
        }
    }
}

impl<T: Nullable> Wire for Option<T> {
    const FIELDS: &'static [Field] = T::FIELDS;

    fn min_size(v: Version) -> usize {
        T::min_nullable(v)
    }
    fn put(&self, w: &mut Writer, v: Version) {
        match self {
            Some(value) => value.put_some(w, v),
            None => T::put_null(w, v),
        }
    }
    fn get(r: &mut Reader<'_>, v: Version) -> Result<Self, DecodeError> {
        T::get_nullable(r, v)
    }
    fn is_null(&self) -> bool {
        self.is_none()
    }
    #[cfg(any(test, feature = "arbitrary"))]
    fn arbitrary(rng: &mut fastrand::Rng, v: Version) -> Self {
        (rng.u8(..4) != 0).then(|| T::arbitrary(rng, v))
    }
}
