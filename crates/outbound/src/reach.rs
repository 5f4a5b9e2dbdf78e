use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::error::OutboundError;

/// Blocks that are not public. (IANA IPv4 Special-Purpose Address Registry; multicast and the reserved rest, too.)
const CLOSED_4: [([u8; 4], u8); 16] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 31, 196, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// The only block of IPv6 that is public, and the parts of it that are not. (IANA IPv6 Global Unicast Address
/// Assignments, IPv6 Special-Purpose Address Registry.) Of 6to4 (`2002::/16`) and Teredo (in `2001::/23`) nobody needs
/// any, and each can stand for a private address.
const OPEN_6: ([u16; 2], u8) = ([0x2000, 0], 3);
const CLOSED_6: [([u16; 2], u8); 4] = [([0x2001, 0], 23), ([0x2001, 0x0db8], 32), ([0x2002, 0], 16), ([0x3fff, 0], 20)];

/// Which addresses requests may go to.
#[derive(Clone, Debug)]
pub struct Reach {
    allow: Vec<IpNet>,
}

impl Reach {
    /// The public addresses, and these networks.
    pub fn new(allow: Vec<IpNet>) -> Self {
        Self { allow }
    }

    /// Whether requests may go to this address.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = embedded_4(address).map_or(address, IpAddr::V4);
        self.allow.iter().any(|net| net.contains(&address)) || is_public(address)
    }

    /// Refuses a host that is an address out of reach. Names pass.
    ///
    /// # Errors
    /// [`OutboundError::OutOfReach`].
    pub(crate) fn check_host(&self, host: &str) -> Result<(), OutboundError> {
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(address) if !self.allows(address) => Err(OutboundError::OutOfReach { host: host.to_owned(), address }),
            _ => Ok(()),
        }
    }
}

/// The IPv4 address that an IPv6 address is another spelling of: mapped (`::ffff:0:0/96`), or translated by NAT64
/// (`64:ff9b::/96`).
fn embedded_4(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(v6) = address else { return None };
    let nat64 = v6.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    v6.to_ipv4_mapped().or_else(|| {
        let [.., a, b, c, d] = v6.octets();
        nat64.then(|| Ipv4Addr::new(a, b, c, d))
    })
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !CLOSED_4.iter().any(|&(start, length)| {
            let net = Ipv4Net::new_assert(start.into(), length);
            net.contains(&address)
        }),
        IpAddr::V6(address) => {
            let within = |&([a, b], length): &([u16; 2], u8)| {
                Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), length).contains(&address)
            };
            within(&OPEN_6) && !CLOSED_6.iter().any(within)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_reached() {
        let reach = Reach::new(Vec::new());
        let out = |text: &str| !reach.allows(text.parse().unwrap());
        for text in [
            "127.0.0.1",
            "127.255.0.3",
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.0.1",
            "192.0.0.170",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
            "::7f00:1",
            "100::1",
            "3fff::1",
        ] {
            assert!(out(text), "{text}");
        }
        for text in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"] {
            assert!(!out(text), "{text}");
        }
    }

    #[test]
    fn allowed_networks_are_reached_in_each_spelling() {
        let reach = Reach::new(vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        for text in ["10.9.8.7", "::ffff:10.9.8.7", "64:ff9b::a09:807", "fd12::1"] {
            assert!(reach.allows(text.parse().unwrap()), "{text}");
        }
        assert!(!reach.allows("192.168.1.1".parse().unwrap()));
    }
}
