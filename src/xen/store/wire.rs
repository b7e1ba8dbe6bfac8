// SPDX-License-Identifier: GPL-3.0-or-later
//! xenstore's messages (Xen's public header `io/xs_wire.h`): a 16-byte header, and NUL-separated strings.

use thiserror::Error;

/// Bytes in a message's header.
pub const HEADER: usize = 16;

/// Longest payload that xenstore allows (`XENSTORE_PAYLOAD_MAX`).
pub const PAYLOAD_MAX: usize = 4096;

/// Message types; the numbers of `enum xsd_sockmsg_type`.
#[allow(missing_docs, reason = "the names are the header's")]
pub mod op {
    pub const DIRECTORY: u32 = 1;
    pub const READ: u32 = 2;
    pub const GET_PERMS: u32 = 3;
    pub const WATCH: u32 = 4;
    pub const UNWATCH: u32 = 5;
    pub const TRANSACTION_START: u32 = 6;
    pub const TRANSACTION_END: u32 = 7;
    pub const GET_DOMAIN_PATH: u32 = 10;
    pub const WRITE: u32 = 11;
    pub const MKDIR: u32 = 12;
    pub const RM: u32 = 13;
    pub const SET_PERMS: u32 = 14;
    pub const WATCH_EVENT: u32 = 15;
    pub const ERROR: u32 = 16;
}

/// One message, either way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// One of [`op`].
    pub op: u32,
    /// Chosen by the asker, repeated in the answer; 0 in watch events.
    pub request: u32,
    /// The transaction, or 0.
    pub transaction: u32,
    /// At most [`PAYLOAD_MAX`] bytes.
    pub payload: Vec<u8>,
}

/// What breaks a connection, or keeps a message from being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a message of {0} bytes is longer than xenstore's 4096")]
pub struct TooLong(pub usize);

impl Message {
    /// The message's bytes as they go over the connection.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let len = self.payload.len();
        let announced = u32::try_from(len).ok().filter(|_| len <= PAYLOAD_MAX).ok_or(TooLong(len))?;
        for word in [self.op, self.request, self.transaction, announced] {
            out.extend_from_slice(&word.to_ne_bytes());
        }
        out.extend_from_slice(&self.payload);
        Ok(())
    }

    /// The payload's strings: what stands between the NULs. A last one without NUL counts too.
    pub fn strings(&self) -> impl Iterator<Item = &[u8]> {
        let text = self.payload.strip_suffix(b"\0").unwrap_or(&self.payload);
        text.split(|byte| *byte == 0)
    }
}

/// Joins strings as most requests want them: each ended by a NUL.
#[must_use]
pub fn strings(parts: &[&str]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for part in parts {
        out.extend_from_slice(part.as_bytes());
        out.push(0);
    }
    out
}

/// Puts messages together from bytes that arrive in pieces of any size.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
}

impl Decoder {
    /// Takes over what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next complete message. Holds at most one incomplete message plus what was pushed last.
    ///
    /// # Errors
    /// [`TooLong`] when the peer announces more than xenstore allows; the connection is then useless.
    pub fn next_message(&mut self) -> Result<Option<Message>, TooLong> {
        let Some([op, request, transaction, len]) = self.header() else { return Ok(None) };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > PAYLOAD_MAX {
            return Err(TooLong(len));
        }
        let Some(payload) = self.bytes.get(HEADER..HEADER + len) else { return Ok(None) };
        let payload = payload.to_vec();
        self.bytes.drain(..HEADER + len);
        Ok(Some(Message { op, request, transaction, payload }))
    }

    fn header(&self) -> Option<[u32; 4]> {
        let (header, _) = self.bytes.split_first_chunk::<HEADER>()?;
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(header.as_chunks::<4>().0) {
            *word = u32::from_ne_bytes(*bytes);
        }
        Some(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_being_cut_anywhere() {
        let message = Message { op: op::READ, request: 7, transaction: 3, payload: strings(&["a", "bc"]) };
        let mut bytes = Vec::new();
        message.encode(&mut bytes).unwrap();
        assert_eq!(bytes.len(), HEADER + 5);
        for cut in 0..bytes.len() {
            let mut decoder = Decoder::default();
            decoder.push(&bytes[..cut]);
            assert_eq!(decoder.next_message(), Ok(None), "cut at {cut}");
            decoder.push(&bytes[cut..]);
            assert_eq!(decoder.next_message(), Ok(Some(message.clone())), "cut at {cut}");
            assert_eq!(decoder.next_message(), Ok(None));
        }
    }

    #[test]
    fn longer_than_4096_is_refused_both_ways() {
        let message = Message { op: op::WRITE, request: 1, transaction: 0, payload: vec![1; PAYLOAD_MAX + 1] };
        assert_eq!(message.encode(&mut Vec::new()), Err(TooLong(4097)));
        let mut decoder = Decoder::default();
        for word in [op::READ, 1, 0, 4097] {
            decoder.push(&word.to_ne_bytes());
        }
        assert_eq!(decoder.next_message(), Err(TooLong(4097)));
    }
}
