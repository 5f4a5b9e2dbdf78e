//! IP addresses and blocks of them.

use std::net::IpAddr;

/// Reads a text that may be an address. An IPv4 address that is spelled as IPv6 (`::ffff:a00:1`) is the IPv4 address, as
/// for Event Ruler.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    let first = *text.as_bytes().first()?;
    if text.len() > 45 || !(first.is_ascii_hexdigit() || first == b':') {
        return None;
    }
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) family: Family,
    /// How many bits.
    pub(crate) bits: u32,
    /// The bits, and zeros after them.
    pub(crate) start: u128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    fn width(self) -> u32 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

/// Why a text is no block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoBlock {
    Slash,
    Bits,
    NegativeBits,
    Address(String),
    TooManyBits(Family),
}

impl Block {
    /// The block of one address.
    pub(crate) fn single(address: IpAddr) -> Self {
        Self::around(address, u32::MAX)
    }

    /// The addresses that have so many bits in common with one.
    pub(crate) fn around(address: IpAddr, bits: u32) -> Self {
        let (family, number) = match address {
            IpAddr::V4(address) => (Family::V4, u128::from(address.to_bits())),
            IpAddr::V6(address) => (Family::V6, address.to_bits()),
        };
        let bits = bits.min(family.width());
        let rest = family.width() - bits;
        let start = number.checked_shr(rest).unwrap_or(0).checked_shl(rest).unwrap_or(0);
        Self { family, bits, start }
    }

    /// Reads `10.0.0.0/8` or `2001:db8::/32`. The address may be any one of the block.
    pub(crate) fn parse(text: &str) -> Result<Self, NoBlock> {
        let (start, bits) = text.split_once('/').ok_or(NoBlock::Slash)?;
        if bits.contains('/') {
            return Err(NoBlock::Slash);
        }
        let bits: i32 = bits.parse().map_err(|_| NoBlock::Bits)?;
        let bits = u32::try_from(bits).map_err(|_| NoBlock::NegativeBits)?;
        let start = address(start).ok_or_else(|| NoBlock::Address(start.to_owned()))?;
        let block = Self::around(start, bits);
        // Event Ruler takes no block of a single address.
        if bits >= block.family.width() { Err(NoBlock::TooManyBits(block.family)) } else { Ok(block) }
    }

    pub(crate) fn contains(self, address: IpAddr) -> bool {
        Self::around(address, self.bits) == self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(block: &str, text: &str) -> bool {
        address(text).is_some_and(|address| Block::parse(block).unwrap().contains(address))
    }

    #[test]
    fn addresses_are_in_their_blocks() {
        for (block, address) in [
            ("10.0.0.0/8", "10.255.255.255"),
            ("10.1.2.3/8", "10.0.0.0"),
            ("10.0.0.0/24", "10.0.0.5"),
            ("10.0.0.4/31", "10.0.0.5"),
            ("0.0.0.0/0", "255.1.2.3"),
            ("2001:db8::/32", "2001:0db8:0:0::1"),
            ("::/0", "ffff::1"),
            ("::fffe/127", "::ffff"),
            ("10.0.0.0/24", "::ffff:a00:5"),
        ] {
            assert!(is_in(block, address), "{block} {address}");
        }
        for (block, address) in [
            ("10.0.0.0/8", "11.0.0.0"),
            ("10.0.0.4/31", "10.0.0.6"),
            ("2001:db8::/32", "2001:db9::"),
            ("::/0", "10.0.0.1"),
            ("0.0.0.0/0", "::1"),
            ("0.0.0.0/0", "10.0.0"),
            ("0.0.0.0/0", "10.0.0.256"),
            ("0.0.0.0/0", ""),
            ("0.0.0.0/0", "cloudtrail.amazonaws.com"),
        ] {
            assert!(!is_in(block, address), "{block} {address}");
        }
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for (text, error) in [
            ("10.0.0.0", NoBlock::Slash),
            ("10.0.0.0/8/8", NoBlock::Slash),
            ("10.0.0.0/x", NoBlock::Bits),
            ("10.0.0.0/", NoBlock::Bits),
            ("10.0.0.0/-1", NoBlock::NegativeBits),
            ("xx.11.xx/8", NoBlock::Address("xx.11.xx".into())),
            ("10.0.0.0/32", NoBlock::TooManyBits(Family::V4)),
            ("2001:db8::/128", NoBlock::TooManyBits(Family::V6)),
        ] {
            assert_eq!(Block::parse(text), Err(error), "{text}");
        }
    }
}
