//! Versions of packages, as the lock file of this build has them.

const LOCK: &str = include_str!("../Cargo.lock");

/// The package's name and version.
pub(crate) fn version(package: &str) -> String {
    let mut lines = LOCK.lines();
    let name = format!("name = \"{package}\"");
    lines.find(|line| *line == name);
    let version = lines.next().and_then(|line| line.strip_prefix("version = "));
    format!("{package} {}", version.map_or("of unknown version", |v| v.trim_matches('"')))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_version_is_found() {
        assert!(super::version("memmap2").starts_with("memmap2 0."));
    }
}
