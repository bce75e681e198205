//! Public IP addresses: version 4 as datatrove 0.10's PIIFormatter finds them, and version 6.
//!
//! Private and reserved addresses stay, by IANA's registries of special-purpose addresses; ports
//! and prefix lengths after an address stay too.

use std::ops::Range;
use std::sync::LazyLock;

// The types of addresses alone: nothing here opens a connection.
use core::net::{Ipv4Addr, Ipv6Addr};

use memchr::memchr_iter;
use regex::bytes::Regex;

use super::{Mask, stands_alone};

/// Addresses that are set aside for documentation (RFC 5737, RFC 3849).
const V4_TOKEN: &str = "192.0.2.1";
const V6_TOKEN: &str = "2001:db8::1";

/// The longest address of version 6, with one of version 4 in it.
const LONGEST_V6: usize = 45;

/// Nothing is asked of what stands around: in `1.2.3.4567` the first seven characters are one.
#[expect(clippy::expect_used, reason = "the pattern is constant, compiled by the tests")]
static V4: LazyLock<Regex> = LazyLock::new(|| {
    const OCTET: &str = "(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)";
    Regex::new(&format!(r"(?-u)(?:{OCTET}\.){{3}}{OCTET}")).expect("a constant pattern")
});

/// All public IP addresses of a text.
pub fn find(text: &str) -> Vec<Mask> {
    let mut masks: Vec<Mask> = v6(text).into_iter().map(|range| (range, V6_TOKEN)).collect();
    let within_v6 = masks.len();
    for found in V4.find_iter(text.as_bytes()) {
        let public = text[found.range()].parse().is_ok_and(is_public_v4);
        let free = |mask: &Mask| mask.0.end <= found.start() || found.end() <= mask.0.start;
        let next = masks[..within_v6].partition_point(|mask| mask.0.end <= found.start());
        if public && masks[..within_v6].get(next).is_none_or(free) {
            masks.push((found.range(), V4_TOKEN));
        }
    }
    masks.sort_unstable_by_key(|mask| mask.0.start);
    masks
}

/// Public addresses of version 6 that stand by themselves.
fn v6(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let part = |b: &&u8| b.is_ascii_hexdigit() || **b == b':' || **b == b'.';
    let mut found = Vec::new();
    let mut from = 0;
    for colon in memchr_iter(b':', bytes) {
        if colon < from {
            continue;
        }
        let mut start = colon - bytes[from..colon].iter().rev().take_while(part).count();
        let mut end = colon + bytes[colon..].iter().take_while(part).count();
        from = end;
        // Punctuation of the sentence.
        while bytes[start] == b'.'
            || bytes[start..].starts_with(b":") && bytes.get(start + 1) != Some(&b':')
        {
            start += 1;
            if start == end {
                break;
            }
        }
        while end > start
            && matches!(bytes[end - 1], b'.' | b':')
            && !text[start..end].ends_with("::")
        {
            end -= 1;
        }
        if end - start > LONGEST_V6 || !stands_alone(text, start, end) {
            continue;
        }
        if text[start..end].parse().is_ok_and(is_public_v6) {
            found.push(start..end);
        }
    }
    found
}

/// As `is_global` of Python 3.12.4 and later; earlier ones take most of 192.0.0.0/24 for public.
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, d] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let protocols = [a, b, c] == [192, 0, 0] && !(9..=10).contains(&d);
    let benchmarks = a == 198 && (18..20).contains(&b);
    let special =
        ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_documentation();
    // 240.0.0.0/4 holds the broadcast address too. Multicast is public.
    !(special || shared || protocols || benchmarks || a == 0 || a >= 240)
}

/// Global unicast (2000::/3), the only space that is given out, without what is reserved in it:
/// protocol assignments with Teredo, documentation, and 6to4, which is gone.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    let reserved = match a {
        0x2001 => b < 0x200 || b == 0xdb8,
        0x2002 => true,
        0x3fff => b < 0x1000,
        _ => false,
    };
    a >> 13 == 1 && !reserved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        super::super::masked(text, &find(text))
    }

    #[test]
    fn public_addresses_are_found_anywhere() {
        assert_eq!(masked("服务器8.8.8.8，端口"), "服务器192.0.2.1，端口");
        assert_eq!(masked(".3.3.3.0 v1.2.3.4567"), ".192.0.2.1 v192.0.2.167");
        assert_eq!(masked("http://93.184.216.34:80/"), "http://192.0.2.1:80/");
    }

    #[test]
    fn private_reserved_and_wrong_ones_stay() {
        for text in [
            "10.0.0.1 172.31.254.254 192.168.1.2 127.0.0.2 169.254.0.1",
            "0.1.2.3 100.64.0.1 192.0.0.5 192.0.2.7 198.51.100.1 203.0.113.9 198.19.0.1 255.255.255.255",
            "108.0.0.01 999.999.999.999 912.456.123.123 192.168.l.1",
            "fe80::1 fc00::1 ::1 2001:db8::ff 2001::1 2002:808:808::1 3fff::1 a::b std::vec 12:30:45",
        ] {
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn version_6_stands_by_itself() {
        assert_eq!(masked("DNS: 2001:4860:4860::8888."), "DNS: 2001:db8::1.");
        assert_eq!(masked("[2a00:1450:4001:82b::200e]:443"), "[2001:db8::1]:443");
        assert_eq!(masked("адрес 2A00:1450::1: да"), "адрес 2001:db8::1: да");
        assert_eq!(masked("2a00:1450:4001:82b::8.8.8.8"), "2001:db8::1");
        assert_eq!(masked("x2a00::1 2a00::1z 2a00:::1"), "x2a00::1 2a00::1z 2a00:::1");
        assert_eq!(masked("::ffff:8.8.8.8"), "::ffff:192.0.2.1");
    }
}
