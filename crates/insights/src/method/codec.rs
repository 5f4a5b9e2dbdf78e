//! The stored form of what is known: numbers one after another, little-endian.

/// Stored bytes do not have the form they should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what is stored ends early or holds a number out of its bounds")]
pub struct Malformed;

/// Bytes that are read from the front.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`Malformed`] when there are fewer; so do all that follow.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A byte.
    ///
    /// # Errors
    /// [`Malformed`] at the end.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// Four bytes.
    ///
    /// # Errors
    /// [`Malformed`] when there are fewer.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| Malformed)?))
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// [`Malformed`] when there are fewer.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| Malformed)?))
    }

    /// A number with a fraction, in four bytes.
    ///
    /// # Errors
    /// [`Malformed`] when there are fewer, and for what is no number.
    pub fn f32(&mut self) -> Result<f32, Malformed> {
        let value = f32::from_bits(self.u32()?);
        value.is_finite().then_some(value).ok_or(Malformed)
    }

    /// A number in as few bytes as it needs, seven bits each.
    ///
    /// # Errors
    /// [`Malformed`] when it does not end within ten bytes.
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    /// Whether all is read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Writes `value` as [`Bytes::varint`] reads it.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
