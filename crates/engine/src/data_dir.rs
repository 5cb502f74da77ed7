//! Where the system keeps an application's data.

use crate::{Error, Result};
use std::{env, path::PathBuf};

/// The directory for the data of the application `name`, by the system's custom:
/// `$XDG_DATA_HOME/name` or `~/.local/share/name` on Linux and other Unix systems,
/// `~/Library/Application Support/name` on macOS, `%LOCALAPPDATA%\name` on Windows. Nothing is
/// created.
///
/// ```
/// # use annals_engine as annals;
/// let folder = annals::data_dir("my-app");
/// assert!(folder.is_err() || folder.is_ok_and(|path| path.ends_with("my-app")));
/// ```
///
/// # Errors
/// [`Error::NoDataDir`] if the environment names no home; [`Error::InvalidName`] if `name` is empty
/// or would leave the directory.
pub fn data_dir(name: &str) -> Result<PathBuf> {
    resolve(name, |variable| env::var_os(variable).map(PathBuf::from).filter(|p| p.is_absolute()))
}

fn resolve(name: &str, var: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf> {
    let plain =
        !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0']);
    if !plain {
        let why = "an application's name is one plain directory name";
        return Err(Error::InvalidName { name: name.to_owned(), of: "a data directory", why });
    }
    let (base, variable) = if cfg!(windows) {
        (var("LOCALAPPDATA"), "LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        (var("HOME").map(|home| home.join("Library/Application Support")), "HOME")
    } else {
        let home = || var("HOME").map(|home| home.join(".local/share"));
        (var("XDG_DATA_HOME").or_else(home), "HOME")
    };
    base.map(|base| base.join(name)).ok_or(Error::NoDataDir { variable })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(not(any(windows, target_os = "macos")))]
    fn the_environment_decides() {
        let with = |set: &'static [(&str, &str)]| {
            move |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, v)| PathBuf::from(v))
        };
        let home = with(&[("HOME", "/home/ada")]);
        assert_eq!(resolve("app", home).unwrap(), PathBuf::from("/home/ada/.local/share/app"));
        let both = with(&[("HOME", "/home/ada"), ("XDG_DATA_HOME", "/data")]);
        assert_eq!(resolve("app", both).unwrap(), PathBuf::from("/data/app"));
        assert!(matches!(resolve("app", with(&[])), Err(Error::NoDataDir { .. })));
        for bad in ["", "..", "a/b"] {
            let refused = resolve(bad, with(&[("HOME", "/home/ada")]));
            assert!(matches!(refused, Err(Error::InvalidName { .. })), "{bad:?}");
        }
    }
}
