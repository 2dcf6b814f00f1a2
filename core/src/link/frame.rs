//! A request becomes a frame: length and header in one piece, the body as it came.

use super::Link;
use super::pipeline::Entry;
use crate::client::role::Tag;
use crate::wire::frame::LENGTH_PREFIX;
use crate::wire::{ApiKey, Version, Writer};
use crate::{Error, ErrorKind, Now};
use bytes::Bytes;
use smallvec::SmallVec;
use std::time::Duration;

/// Request headers have the old form of strings in every version.
const OLD_FORM: Version = Version { number: 1, flexible: false };

impl Link {
    /// The entry of a request; its limits are the caller's to fill in.
    pub(super) fn entry(
        &mut self,
        now: Now,
        tag: Option<Tag>,
        api: ApiKey,
        version: i16,
        body: &[Bytes],
    ) -> Result<Entry, Error> {
        let client_id = &*self.settings.client_id;
        let rest: usize = body.iter().map(Bytes::len).sum();
        let mut w = Writer::with_capacity(LENGTH_PREFIX + 11 + client_id.len());
        let flexible = version >= api.flexible_from();
        let length = (10 + client_id.len() + usize::from(flexible)).saturating_add(rest);
        let too_long =
            || Error::new(ErrorKind::RecordTooLarge, "a request of more than 2 GiB").with_api(api.name().unwrap_or(""));
        w.i32(i32::try_from(length).map_err(|_| too_long())?);
        w.i16(api.0);
        w.i16(version);
        let correlation = self.pipeline.correlation();
        w.i32(correlation);
        w.str(Some(client_id), OLD_FORM);
        if flexible {
            w.uvarint(0);
        }
        w.take_error("RequestHeader").map_err(|e| Error::new(ErrorKind::Config, format!("client.id: {e}")))?;
        let size = w.len() + rest;
        let mut chunks: SmallVec<[Bytes; 3]> = SmallVec::with_capacity(1 + body.len());
        chunks.push(w.into_vec().into());
        chunks.extend(body.iter().filter(|part| !part.is_empty()).cloned());
        Ok(Entry {
            tag,
            api,
            version,
            correlation,
            timeout: Duration::ZERO,
            silent: false,
            max_response: 0,
            chunks,
            size,
            taken: 0,
            since: now.mono,
        })
    }
}
