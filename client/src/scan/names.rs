//! Names: of repositories, and of paths that are not UTF-8.

use std::path::Path;

use gix::bstr::ByteSlice;
pub use lode_facts::file::escape;

use super::ScanError;

/// A remote's URL without scheme, user, password, default port and `.git`, its host in lower case:
/// `github.com/owner/name`. `None` for what names no host: a path would tie the identity to one machine.
pub fn normalise_origin(url: &[u8]) -> Option<String> {
    let url = gix::url::parse(url.as_bstr()).ok()?;
    let host = url.host()?.to_ascii_lowercase();
    let path = url.path.to_str_lossy();
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/');
    if host.is_empty() || path.is_empty() {
        return None;
    }
    let default_port = match url.scheme {
        gix::url::Scheme::Ssh => 22,
        gix::url::Scheme::Http => 80,
        gix::url::Scheme::Git => 9418,
        _ => 443,
    };
    match url.port.filter(|port| *port != default_port) {
        Some(port) => Some(format!("{host}:{port}/{path}")),
        None => Some(format!("{host}/{path}")),
    }
}

/// The repository's name: what was asked for, else its origin, else the directory's name.
///
/// A directory below the root of a repository is its own repository in the lake, `<origin>//<directory>`: scans of the
/// whole and of a part must not take each other's files for deleted.
pub fn repo_name(asked: Option<&str>, origin: Option<&str>, prefix: &[u8], root: &Path) -> Result<String, ScanError> {
    let name = match (asked, origin) {
        (Some(name), _) => name.to_owned(),
        (None, Some(origin)) if prefix.is_empty() => origin.to_owned(),
        (None, Some(origin)) => format!("{origin}//{}", escape(prefix)),
        (None, None) => {
            let name = root.file_name().ok_or_else(|| ScanError::NoName { path: root.to_owned() })?;
            escape(name.as_encoded_bytes())
        }
    };
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        return Err(ScanError::BadName { name });
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for (url, expected) in [
            ("https://github.com/owner/name.git", Some("github.com/owner/name")),
            ("https://user:token@GitHub.com/owner/name", Some("github.com/owner/name")),
            ("https://github.com:443/owner/name/", Some("github.com/owner/name")),
            ("git@github.com:owner/name.git", Some("github.com/owner/name")),
            ("ssh://git@host.example:2222/a/b.git", Some("host.example:2222/a/b")),
            ("ssh://git@host.example:22/a/b.git", Some("host.example/a/b")),
            ("git://host/x.git", Some("host/x")),
            ("/srv/git/name.git", None),
            ("file:///srv/git/name.git", None),
            ("../name", None),
            ("", None),
        ] {
            assert_eq!(normalise_origin(url.as_bytes()).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn escapes() {
        assert_eq!(escape("a/é.py".as_bytes()), "a/é.py");
        assert_eq!(escape(b"a\xff\xc3/b"), "a\\xff\\xc3/b");
    }

    #[test]
    fn names() {
        let name =
            |asked, origin, prefix: &str, root: &str| repo_name(asked, origin, prefix.as_bytes(), Path::new(root)).ok();
        assert_eq!(name(Some("x"), Some("h/o/n"), "", "/r"), Some("x".into()));
        assert_eq!(name(None, Some("h/o/n"), "", "/r"), Some("h/o/n".into()));
        assert_eq!(name(None, Some("h/o/n"), "src/a", "/r/src/a"), Some("h/o/n//src/a".into()));
        assert_eq!(name(None, None, "src", "/r/src"), Some("src".into()));
        assert_eq!(name(None, None, "", "/"), None);
        assert_eq!(name(Some(" "), None, "", "/r"), None);
        assert_eq!(name(Some("a\nb"), None, "", "/r"), None);
    }
}
