//! A disk that is full, and a directory that takes nothing: what the client is told, and what stays.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use heist_tests::{hang_guard, skipped};
use tempfile::TempDir;

use crate::client::Response;
use crate::example::command;
use crate::refused::assert_refused;
use crate::server::{FILE, Server, directory, form, form_of, noise};

/// The client is told without a path, and the log with it. What there was is removed.
#[track_caller]
fn assert_told(server: &mut Server, answer: &Response, status: u16, word: &str) {
    assert_refused(answer, status, "cannot store the file");
    assert_refused(answer, status, word);
    let text = answer.text();
    assert!(!text.contains("upload-") && !text.contains("target"), "a path: {text}");
    let directory = server.directory().display().to_string();
    // The two lines come in either order.
    let lines = [server.wait_for(": "), server.wait_for(": ")];
    assert!(lines.iter().any(|line| line.contains("gave the upload up")), "{lines:?}");
    let is_reason = |line: &String| line.contains("cannot store") && line.contains(&directory);
    assert!(lines.iter().any(is_reason), "{lines:?}");
}

#[test]
fn directory_that_is_gone_is_said_and_the_server_goes_on() {
    let _guard = hang_guard("no directory");
    let mut server = Server::start(&[]);
    fs::remove_dir(server.directory()).unwrap();
    let answer = server.post(&form(b"hello"));
    assert_told(&mut server, &answer, 500, "is gone");
    fs::create_dir(server.directory()).unwrap();
    assert_eq!(server.post(&form(b"hello")).status, 201);
}

#[test]
fn file_larger_than_the_system_allows_leaves_nothing() {
    let _guard = hang_guard("ulimit");
    let example = command("http_upload");
    let mut shell = Command::new("sh");
    // In units of 512 bytes.
    shell.args(["-c", "ulimit -f 1000; exec \"$0\" \"$@\""]).arg(example.get_program());
    shell.stdin(Stdio::null()).stderr(Stdio::piped());
    let own = directory();
    let mut server = Server::spawn(shell, own.path());
    let large = noise(2 << 20, 1);
    let answer = server.post(&form_of(&[(FILE, b"small"), (FILE, &large)]));
    assert_told(&mut server, &answer, 507, "no space");
    assert_eq!(server.files().len(), 0);
    assert_eq!(server.post(&form(b"small")).status, 201);
}

/// A disk of 1 MiB; unmounted when it is dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None`, and a word about it, where this process may not mount.
    fn mount(test: &str) -> Option<SmallDisk> {
        let disk = SmallDisk(directory());
        let options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs"];
        match mount(&options, disk.0.path()) {
            true => Some(disk),
            false => {
                skipped(test, "to be root and allowed to mount");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).output();
    }
}

fn mount(options: &[&str], path: &Path) -> bool {
    let outcome = Command::new("mount").args(options).arg(path).output();
    outcome.is_ok_and(|outcome| outcome.status.success())
}

#[test]
fn full_disk_leaves_nothing_and_gives_its_space_back() {
    let _guard = hang_guard("full disk");
    let test = "full_disk_leaves_nothing_and_gives_its_space_back";
    let Some(disk) = SmallDisk::mount(test) else { return };
    let mut server = Server::start_in(disk.0.path());
    let fits = noise(600_000, 1);
    let large = noise(4 << 20, 2);
    // The client sends all before it looks for the answer.
    for body in [form(&large), form_of(&[(FILE, &fits), (FILE, &fits)])] {
        let answer = server.post(&body);
        assert_told(&mut server, &answer, 507, "no space");
        assert_eq!(server.files().len(), 0);
    }
    assert_eq!(server.post(&form(&fits)).status, 201);
    server.wait_for("files kept");
    let answer = server.post(&form(&fits));
    assert_told(&mut server, &answer, 507, "no space");
    assert_eq!(server.files().into_values().collect::<Vec<_>>(), [fits]);
}

#[test]
fn disk_that_became_read_only_is_said() {
    let _guard = hang_guard("read-only");
    let Some(disk) = SmallDisk::mount("disk_that_became_read_only_is_said") else { return };
    let mut server = Server::start_in(disk.0.path());
    assert!(mount(&["-o", "remount,ro"], disk.0.path()));
    let answer = server.post(&form(b"hello"));
    assert_told(&mut server, &answer, 500, "may not write");
    assert!(mount(&["-o", "remount,rw"], disk.0.path()));
    assert_eq!(server.post(&form(b"hello")).status, 201);
}

#[test]
fn directory_without_permission_is_said() {
    let _guard = hang_guard("permission");
    let own = tempfile::tempdir().unwrap();
    let mut command = command("http_upload");
    if rustix::process::getuid().is_root() {
        chown(own.path(), Some(NOT_ROOT), Some(NOT_ROOT)).unwrap();
        command.uid(NOT_ROOT).gid(NOT_ROOT);
        let mut probe = Command::new(command.get_program());
        if probe.arg("--help").uid(NOT_ROOT).gid(NOT_ROOT).output().is_err() {
            return skipped("directory_without_permission_is_said", "a program that all may run");
        }
    }
    let kept = own.path().join("kept");
    let mut server = Server::spawn(command, &kept);
    fs::set_permissions(&kept, PermissionsExt::from_mode(0o500)).unwrap();
    let answer = server.post(&form(b"hello"));
    assert_told(&mut server, &answer, 500, "may not write");
    fs::set_permissions(&kept, PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(server.post(&form(b"hello")).status, 201);
}

const NOT_ROOT: u32 = 65_534;
