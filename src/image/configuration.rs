//! The configuration layer: the few files in /etc that programs expect, and terminal descriptions.

use std::path::{Path, PathBuf};

use super::ImageError;
use super::layer::Layer;

/// Files in /etc. Nothing here comes from the host: its users and names are none of the image's
/// business.
const ETC: [(&str, &str); 9] = [
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    ("etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"),
    ("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    // Users and host names come from the files above alone: no other source is in the image.
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n"),
    ("etc/os-release", "NAME=\"workshop image\"\nID=workshop\nPRETTY_NAME=\"workshop image\"\n"),
    ("etc/profile", "export PATH=/usr/local/bin:/bin:/sbin\nexport PS1='container:$PWD # '\n"),
    ("etc/resolv.conf", ""),
    ("etc/hostname", "workshop\n"),
    ("etc/shells", "/bin/sh\n"),
];

/// Terminals described in the image. Without a description a shell has no line editing.
const TERMINALS: [&str; 8] =
    ["xterm", "xterm-256color", "screen", "screen-256color", "tmux-256color", "linux", "vt100", "dumb"];

/// Where distributions keep terminal descriptions (terminfo(5)).
const TERMINFO: [&str; 4] = ["/etc/terminfo", "/lib/terminfo", "/usr/lib/terminfo", "/usr/share/terminfo"];

/// The configuration layer, with a description of TERMINAL besides the usual ones.
pub(super) fn configuration(terminal: Option<&str>) -> Result<Layer, ImageError> {
    let mut layer = Layer::default();
    for (place, text) in ETC {
        layer.text(place, text);
    }
    // mount(8) of old looks for the mount table here.
    layer.link("etc/mtab", "proc/self/mounts");
    for terminal in TERMINALS.into_iter().chain(terminal) {
        if let Some(place) = terminfo(terminal)
            && let Ok(source) = place.canonicalize()
        {
            layer.copy(&source, place)?;
        }
    }
    Ok(layer)
}

/// `$TERM`, when it is a terminal that the image wouldn't describe anyway.
pub(super) fn unusual_terminal() -> Option<String> {
    let terminal = std::env::var("TERM").ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+.".contains(&byte);
    let safe = !terminal.starts_with('.') && terminal.bytes().all(plain);
    (safe && !TERMINALS.contains(&terminal.as_str())).then_some(terminal)
}

/// The host's description of TERMINAL: in a directory named by the first letter, or by that
/// letter's code where file names ignore case.
fn terminfo(terminal: &str) -> Option<PathBuf> {
    let first = terminal.chars().next()?;
    let letters = [first.to_string(), format!("{:x}", u32::from(first))];
    TERMINFO
        .iter()
        .flat_map(|dir| letters.iter().map(move |letter| Path::new(dir).join(letter)))
        .map(|dir| dir.join(terminal))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layer_says_who_root_is_and_has_no_host_names() {
        let dir = tempfile::tempdir().unwrap();
        configuration(None).unwrap().write(dir.path()).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert!(read("etc/passwd").starts_with("root:x:0:0:"));
        assert!(read("etc/os-release").contains("NAME=\"workshop image\""));
        assert_eq!(read("etc/resolv.conf"), "");
        let mtab = std::fs::read_link(dir.path().join("etc/mtab")).unwrap();
        assert_eq!(mtab, Path::new("../proc/self/mounts"));
    }
}
