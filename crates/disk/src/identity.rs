//! The text an exclusive lock leaves in its file: three `name=value` lines that a person can read
//! with `cat` and that another process turns back into a [`Holder`].
//!
//! The text is advice, never truth: whether a lock is held is asked of the system, since a process
//! that died leaves its text behind.

use crate::Holder;

/// More than any identity needs; a longer lock file was not written by us.
pub(crate) const IDENTITY_BYTES_MAX: u64 = 4096;

/// The content of a lock file held by `holder`.
pub(crate) fn encode(holder: &Holder) -> String {
    // A host name with a line break would forge a line.
    let host: String = holder.host.chars().filter(|c| !c.is_control()).collect();
    format!("pid={}\nhost={host}\nsince_ms={}\n", holder.pid, holder.since_ms)
}

/// The holder named by the content of a lock file, or `None` if it names none.
pub(crate) fn decode(text: &[u8]) -> Option<Holder> {
    let text = std::str::from_utf8(text).ok()?;
    let value = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')))
    };
    Some(Holder {
        pid: value("pid")?.parse().ok()?,
        host: value("host")?.to_owned(),
        since_ms: value("since_ms")?.parse().ok()?,
    })
}

/// Stands for a holder that is there but has not written who it is.
pub(crate) fn unknown() -> Holder {
    Holder { pid: 0, host: "unknown".to_owned(), since_ms: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let holder = Holder { pid: 7, host: "box-1.example".to_owned(), since_ms: 123_456 };
        assert_eq!(decode(encode(&holder).as_bytes()), Some(holder));
    }

    #[test]
    fn a_host_name_cannot_forge_a_line() {
        let holder = Holder { pid: 7, host: "a\npid=8".to_owned(), since_ms: 1 };
        assert_eq!(decode(encode(&holder).as_bytes()).map(|holder| holder.pid), Some(7));
    }

    #[test]
    fn half_written_text_names_nobody() {
        assert_eq!(decode(b""), None);
        assert_eq!(decode(b"pid=7\nho"), None);
        assert_eq!(decode(b"pid=x\nhost=y\nsince_ms=1\n"), None);
        assert_eq!(decode(b"\xff\xfe"), None);
    }
}
