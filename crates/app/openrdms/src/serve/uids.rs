//! The uids of desktops must be nobody else's: an account of the machine that owns one, by name or through
//! `/etc/subuid`, would own the homes and sockets of a desktop's user.

use anyhow::{Result, ensure};
use std::ops::RangeInclusive;

/// Refuses a range that meets an account's.
pub(crate) fn check(range: &RangeInclusive<u32>) -> Result<()> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let found = taken(range, &read("/etc/passwd"), &read("/etc/subuid"));
    ensure!(
        found.is_none(),
        "[local] uid_first and uid_count: {} to {} are not free ({}): choose a range that nobody has",
        range.start(),
        range.end(),
        found.unwrap_or_default()
    );
    Ok(())
}

/// Who has a part of the range.
fn taken(range: &RangeInclusive<u32>, passwd: &str, subuid: &str) -> Option<String> {
    let account = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, uid) = (fields.next()?, fields.nth(1)?.parse::<u32>().ok()?);
        range.contains(&uid).then(|| format!("{uid} is {name} in /etc/passwd"))
    });
    account.or_else(|| {
        subuid.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let first: u64 = fields.next()?.parse().ok()?;
            let count: u64 = fields.next()?.trim().parse().ok()?;
            let meets = count > 0
                && first <= u64::from(*range.end())
                && first.saturating_add(count - 1) >= u64::from(*range.start());
            meets.then(|| format!("{first} and {count} more are {name}'s in /etc/subuid"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::taken;

    #[test]
    fn a_range_that_somebody_has_is_found() {
        let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1500:1500::/home/ann:/bin/sh\n";
        let subuid = "ann:100000:65536\nben:165536:65536\n";
        assert_eq!(taken(&(1_900_000_000..=1_900_065_535), passwd, subuid), None);
        assert_eq!(taken(&(1501..=99_999), passwd, subuid), None);
        for (range, who) in [(1000..=2000, "ann"), (99_000..=100_000, "ann"), (231_071..=231_071, "ben")] {
            assert!(taken(&range, passwd, subuid).is_some_and(|text| text.contains(who)), "{range:?}");
        }
        assert_eq!(taken(&(231_072..=231_072), passwd, subuid), None);
    }
}
