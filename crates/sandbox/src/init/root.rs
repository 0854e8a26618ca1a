//! The slot's root: toolchains read-only, a few device files, the box, and nothing else of the host.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount, mount_bind, mount_change, mount_remount,
    unmount,
};
use rustix::process::{chdir, pivot_root};

use crate::wire::{Setup, Step, StepError};

/// Where the new root is put together; hidden from everybody else, since the mount namespace is our own.
const BASE: &str = "/tmp";
/// The writable file system, seen from inside.
pub(super) const BOX: &str = "/box";
/// Device files: name, major, minor (`Documentation/admin-guide/devices.txt` of the kernel).
const DEVICES: [(&str, u32, u32); 5] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9)];
/// Users that programs can look up; the host's own list stays unseen.
const PASSWD: &str = "root:x:0:0:root:/:/bin/false\nrunner:x:RUNNER:RUNNER:runner:/box/work:/bin/false\n";
const GROUP: &str = "root:x:0:\nrunner:x:RUNNER:\n";

/// Builds the root and makes it the process's own, with the host's unmounted.
pub(super) fn build(setup: &Setup) -> Result<(), StepError> {
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
    let options = format!("size={},nr_inodes={},mode=755", setup.box_bytes, setup.box_inodes);
    tmpfs(&format!("{BASE}{BOX}"), MountFlags::NOSUID | MountFlags::NODEV, &options)?;
    link("box/tmp", &format!("{BASE}/tmp"))?;
    enter()
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
    bind(&source, &target)
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
    bind(source, &target)
}

fn dev() -> Result<(), StepError> {
    let dev = format!("{BASE}/dev");
    make_dir(&dev)?;
    tmpfs(&dev, MountFlags::NOSUID | MountFlags::NOEXEC, "size=64k,nr_inodes=32,mode=755")?;
    for (name, major, minor) in DEVICES {
        let path = format!("{dev}/{name}");
        mknodat(CWD, &path, FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(major, minor))
            .step(|| format!("make /dev/{name}"))?;
        // The mode of mknod is cut by the umask.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).step(|| format!("open /dev/{name}"))?;
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
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NOEXEC;
    mount_remount(&dev, flags, "").step(|| "make /dev read-only".to_owned())
}

/// Only the directories of processes: nothing that tells of the host's memory, devices or settings. Read-only,
/// so that a program cannot make the init a better choice for an out-of-memory kill than itself.
fn proc() -> Result<(), StepError> {
    let proc = format!("{BASE}/proc");
    make_dir(&proc)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", &proc, "proc", flags, Some(c"subset=pid"))
        .step(|| "mount /proc with subset=pid (needs Linux 5.8)".to_owned())?;
    mount_remount(&proc, MountFlags::BIND | MountFlags::RDONLY | flags, "")
        .step(|| "make /proc read-only".to_owned())
}

/// A `/proc` that only the init has, and can write: a mount that is attached nowhere.
pub(super) fn private_proc() -> Result<OwnedFd, StepError> {
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

fn bind(source: &str, target: &str) -> Result<(), StepError> {
    mount_bind(source, target).step(|| format!("bind {source}"))?;
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount_remount(target, flags, "").step(|| format!("make {source} read-only"))
}

fn make_dir(path: &str) -> Result<(), StepError> {
    fs::create_dir_all(path).step(|| format!("make the directory {path}"))
}

fn link(to: &str, path: &str) -> Result<(), StepError> {
    symlink(to, path).step(|| format!("make the link {path}"))
}
