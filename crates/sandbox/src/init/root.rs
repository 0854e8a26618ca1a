//! The slot's root: toolchains read-only, a few device files, the box, and nothing else of the host.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, OpenTreeFlags,
    UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount, mount_bind_recursive,
    mount_change, mount_remount, open_tree, unmount,
};
use rustix::process::{chdir, pivot_root};

use crate::protocol::wire::{Setup, Step, StepError};

/// Where the new root is put together; hidden from everybody else, since the mount namespace is our own.
const BASE: &str = "/tmp";
/// The writable file system, seen from inside.
pub(super) const BOX: &str = "/box";
/// The loaded program's file system, seen from inside; only the init can write it.
const PROGRAM: &str = "/box/program";
/// Device files. They are the host's own: nobody in a user namespace can make one.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];
/// Users that programs can look up; the host's own list stays unseen.
const PASSWD: &str = "root:x:0:0:root:/:/bin/false\nrunner:x:RUNNER:RUNNER:runner:/box/work:/bin/false\n";
const GROUP: &str = "root:x:0:\nrunner:x:RUNNER:\n";

/// Mounts that are attached nowhere, for the init alone.
pub(super) struct Mounts {
    /// A `/proc` that can be written, and shows every process.
    pub(super) proc: OwnedFd,
    /// The file system of the loaded program, which can be written here.
    pub(super) program: OwnedFd,
}

/// Builds the root and makes it the process's own, with the host's unmounted.
pub(super) fn build(setup: &Setup) -> Result<Mounts, StepError> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .step(|| "make mounts private".to_owned())?;
    tmpfs(BASE, MountFlags::NOSUID | MountFlags::NODEV, "size=1m,nr_inodes=512,mode=755")?;
    for name in &setup.toolchain_dirs {
        toolchain_dir(name)?;
    }
    etc(setup)?;
    for path in &setup.mounts {
        toolchain_path(path)?;
    }
    dev()?;
    proc()?;
    make_dir(&format!("{BASE}{BOX}"))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let options = format!("size={},nr_inodes={},mode=755", setup.box_bytes, setup.box_inodes);
    tmpfs(&format!("{BASE}{BOX}"), flags, &options)?;
    link("box/tmp", &format!("{BASE}/tmp"))?;
    let mounts = Mounts { program: program(setup.box_bytes)?, proc: private_proc()? };
    enter()?;
    Ok(mounts)
}

/// A file system for the loaded program, in sight and read-only for all, since its owner may be the programs' own
/// user; the init keeps a second mount of it.
fn program(bytes: u64) -> Result<OwnedFd, StepError> {
    let target = format!("{BASE}{PROGRAM}");
    make_dir(&target)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    tmpfs(&target, flags, &format!("size={bytes},nr_inodes=16,mode=755"))?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let writable = open_tree(CWD, &target, clone).step(|| format!("keep a mount of {PROGRAM}"))?;
    mount_remount(&target, MountFlags::BIND | MountFlags::RDONLY | flags, "")
        .step(|| format!("make {PROGRAM} read-only"))?;
    Ok(writable)
}

fn enter() -> Result<(), StepError> {
    chdir(BASE).step(|| "enter the new root".to_owned())?;
    pivot_root(".", ".").step(|| "change the root".to_owned())?;
    unmount(".", UnmountFlags::DETACH).step(|| "unmount the host's root".to_owned())?;
    chdir("/").step(|| "enter the new root".to_owned())?;
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount_remount("/", flags, "").step(|| "make the root read-only".to_owned())
}

/// Shows one directory of the host's root, or repeats the link where the host has one (`/bin` to `usr/bin`).
fn toolchain_dir(name: &str) -> Result<(), StepError> {
    let (source, target) = (format!("/{name}"), format!("{BASE}/{name}"));
    let Ok(kind) = fs::symlink_metadata(&source) else { return Ok(()) };
    if kind.is_symlink() {
        let to = fs::read_link(&source).step(|| format!("read the link {source}"))?;
        return link(&to.to_string_lossy(), &target);
    }
    make_dir(&target)?;
    bind(&source, &target, MountAttrFlags::MOUNT_ATTR_NODEV)
}

fn etc(setup: &Setup) -> Result<(), StepError> {
    make_dir(&format!("{BASE}/etc"))?;
    for (name, content) in [("passwd", PASSWD), ("group", GROUP)] {
        let content = content.replace("RUNNER", &setup.uid.to_string());
        fs::write(format!("{BASE}/etc/{name}"), content).step(|| format!("write /etc/{name}"))?;
    }
    Ok(())
}

/// Shows one file or directory of the host's at its own place.
fn toolchain_path(source: &str) -> Result<(), StepError> {
    // The toolchain that would need it is then missing as well.
    let Ok(kind) = fs::metadata(source) else { return Ok(()) };
    let target = format!("{BASE}{source}");
    if kind.is_dir() {
        make_dir(&target)?;
    } else {
        let parent = Path::new(&target).parent().map(|path| path.to_string_lossy().into_owned());
        make_dir(&parent.unwrap_or_default())?;
        fs::write(&target, "").step(|| format!("make {target}"))?;
    }
    bind(source, &target, MountAttrFlags::MOUNT_ATTR_NODEV)
}

fn dev() -> Result<(), StepError> {
    let dev = format!("{BASE}/dev");
    make_dir(&dev)?;
    for name in DEVICES {
        let target = format!("{dev}/{name}");
        fs::write(&target, "").step(|| format!("make {target}"))?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOEXEC;
        bind(&format!("/dev/{name}"), &target, attributes)?;
    }
    for (name, to) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
        ("shm", "/box/tmp"),
    ] {
        link(to, &format!("{dev}/{name}"))?;
    }
    Ok(())
}

/// Only the directories of a program's own processes: nothing that tells of the init, nor of the host's memory,
/// devices or settings. Read-only, so that a program cannot make the init a better choice for an out-of-memory kill
/// than itself.
fn proc() -> Result<(), StepError> {
    let proc = format!("{BASE}/proc");
    make_dir(&proc)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", &proc, "proc", flags, Some(c"subset=pid,hidepid=2")).step(|| {
        "mount /proc with subset=pid (needs Linux 5.8, and a /proc of the judge's with nothing masked)"
            .to_owned()
    })?;
    mount_remount(&proc, MountFlags::BIND | MountFlags::RDONLY | flags, "")
        .step(|| "make /proc read-only".to_owned())
}

fn private_proc() -> Result<OwnedFd, StepError> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let mounted = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC).and_then(|context| {
        fsconfig_set_string(&context, "subset", "pid")?;
        fsconfig_create(&context)?;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    });
    mounted.step(|| "mount a private /proc".to_owned())
}

fn tmpfs(target: &str, flags: MountFlags, options: &str) -> Result<(), StepError> {
    let data = std::ffi::CString::new(options).map_err(|_| Errno::INVAL);
    data.and_then(|data| mount("tmpfs", target, "tmpfs", flags, Some(data.as_c_str())))
        .step(|| format!("mount a tmpfs on {target}"))
}

/// Shows something of the host's, with all that is mounted below it, read-only.
fn bind(source: &str, target: &str, attributes: MountAttrFlags) -> Result<(), StepError> {
    mount_bind_recursive(source, target).step(|| format!("bind {source}"))?;
    restrict(target, attributes | MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID)
        .step(|| format!("make {source} read-only (needs Linux 5.12)"))
}

/// Adds attributes to a mount and all below it. A remount would have to repeat those that a user namespace may not
/// take away.
#[expect(unsafe_code, reason = "mount_setattr has no safe form")]
fn restrict(target: &str, attributes: MountAttrFlags) -> Result<(), Errno> {
    let target = std::ffi::CString::new(target).map_err(|_| Errno::INVAL)?;
    let change =
        libc::mount_attr { attr_set: attributes.bits().into(), attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: path and structure are ours and outlive the call; the size is that of the structure.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            target.as_ptr(),
            libc::AT_RECURSIVE,
            &raw const change,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
    }
}

fn make_dir(path: &str) -> Result<(), StepError> {
    fs::create_dir_all(path).step(|| format!("make the directory {path}"))
}

fn link(to: &str, path: &str) -> Result<(), StepError> {
    symlink(to, path).step(|| format!("make the link {path}"))
}
