//! Failures of the disk, the directory and the limits: the answer, and the files that stay.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use heist_tests::{hang_guard, skipped};
use rustix::process::Rlimit;
use tempfile::TempDir;

use crate::example::command;
use crate::refused::assert_refused;
use crate::server::{FILE, Server, directory, files, form, form_of, head, noise};
use heist_tests::http_client::Response;

/// The answer has the reason without a path, and the log has it with one. The files are removed.
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
    let own = directory();
    // In units of 512 bytes.
    let mut server = Server::spawn(with_ulimit("-f 1000"), own.path());
    let large = noise(2 << 20, 1);
    let answer = server.post(&form_of(&[(FILE, b"small"), (FILE, &large)]));
    assert_told(&mut server, &answer, 507, "no space");
    assert_eq!(server.files().len(), 0);
    assert_eq!(server.post(&form(b"small")).status, 201);
}

/// The example under `ulimit`, in the same environment as without.
fn with_ulimit(limit: &str) -> Command {
    let example = command("http_upload");
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\"")]);
    shell.arg(example.get_program());
    for (variable, _) in example.get_envs() {
        shell.env_remove(variable);
    }
    shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    shell
}

/// Failure: "the server's disk fails", with 32 connections and as many files within 64 descriptors.
#[test]
fn every_connection_has_a_descriptor_for_its_file() {
    let _guard = hang_guard("descriptors");
    let own = directory();
    let server = Server::spawn(with_ulimit("-n 64"), own.path());
    let contents: Vec<_> = (0..UPLOADS).map(|index| noise(150_000, index)).collect();
    let bodies: Vec<_> = contents.iter().map(|content| form(content)).collect();
    // Each sends enough for a file. Connections beyond the bound wait in the kernel.
    let mut clients: Vec<_> = bodies.iter().map(|_| server.connect()).collect();
    for (client, body) in clients.iter_mut().zip(&bodies) {
        client.send(head(body.len()));
        client.send(&body[..140_000]);
    }
    for (mut client, body) in clients.into_iter().zip(&bodies) {
        client.send(&body[140_000..]);
        let answer = client.response();
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    assert_eq!(server.files().len(), bodies.len());
}

const UPLOADS: u64 = 40;

#[test]
fn soft_limit_on_open_files_is_raised() {
    let _guard = hang_guard("soft limit");
    let own = directory();
    let server = Server::spawn(with_ulimit("-Sn 64"), own.path());
    let limit = server.open_files_limit();
    assert_eq!(limit.current, limit.maximum);
}

#[test]
fn want_of_descriptors_is_no_fault_of_the_disk() {
    let _guard = hang_guard("no descriptor");
    let mut server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.get("/").status, 200);
    let limit = server.open_files_limit();
    server.set_open_files_limit(Rlimit { current: Some(3), ..limit });
    let body = form(b"hello");
    client.send(head(body.len()));
    client.send(&body);
    assert_told(&mut server, &client.response(), 503, "too many files open; try again");
    server.set_open_files_limit(limit);
    assert_eq!(server.post(&body).status, 201);
}

/// Failure: a file was kept, and the answer was "nothing was kept".
#[test]
fn directory_is_found_when_the_working_directory_is_gone() {
    let _guard = hang_guard("working directory");
    let own = directory();
    let (work, kept) = (own.path().join("work"), own.path().join("kept"));
    fs::create_dir(&work).unwrap();
    let mut command = command("http_upload");
    command.current_dir(&work);
    let mut server = Server::spawn(command, Path::new("../kept"));
    fs::remove_dir(&work).unwrap();
    let answer = server.post(&form(b"hello"));
    assert_eq!(answer.status, 201, "{answer:?}");
    server.wait_for("files kept: 1");
    assert_eq!(files(&kept).into_values().collect::<Vec<_>>(), [b"hello"]);
}

/// A disk of 1 MiB; unmounted when it is dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` if this process may not mount, which is reported.
    fn mount(test: &str) -> Option<SmallDisk> {
        let disk = SmallDisk(directory());
        let options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs"];
        if !mount(&options, disk.0.path()) {
            skipped(test, "to be root and allowed to mount");
            return None;
        }
        Some(disk)
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
