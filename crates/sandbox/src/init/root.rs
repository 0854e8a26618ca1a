//! Building the slot's root: read-only toolchains, a few device files, the box, and nothing else of the host.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, OpenTreeFlags,
    UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount, mount_bind_recursive,
    mount_change, mount_remount, open_tree, unmount,
};
use rustix::process::{chdir, pivot_root};

use super::step::{StepContext, StepError};
use crate::protocol::wire::SlotSetup;

/// Where the new root is assembled. No other process sees it, since the slot has its own mount namespace.
const NEW_ROOT: &str = "/tmp";
/// The writable file system, seen from inside.
pub(super) const BOX_DIR: &str = "/box";
/// The loaded program's file system, seen from inside; only the init can write it.
const PROGRAM_DIR: &str = "/box/program";
/// Device files. They are the host's own, since none can be created in a user namespace.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];
/// The users that programs can look up; the host's own list stays hidden.
const PASSWD: &str = "root:x:0:0:root:/:/bin/false\nrunner:x:RUNNER:RUNNER:runner:/box/work:/bin/false\n";
const GROUP: &str = "root:x:0:\nrunner:x:RUNNER:\n";
/// What Node.js loads before a program: `os.cpus()` would be empty, since `/proc` does not show the processors. A
/// program sees as many as it may use, with nothing about them.
const NODE_CPUS: &str = include_str!("cpus.js");

/// Mounts that have no path, for the init alone.
pub(super) struct InitMounts {
    /// A writable `/proc` that shows every process of the slot.
    pub(super) proc: OwnedFd,
    /// A writable mount of the loaded program's file system.
    pub(super) program: OwnedFd,
}

/// Builds the root, makes it the root of this process, and unmounts the host's root.
pub(super) fn build(setup: &SlotSetup) -> Result<InitMounts, StepError> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .step(|| "make mounts private".to_owned())?;
    tmpfs(NEW_ROOT, MountFlags::NOSUID | MountFlags::NODEV, "size=1m,nr_inodes=512,mode=755")?;
    for name in &setup.toolchain_dirs {
        bind_toolchain_dir(name)?;
    }
    write_etc(setup)?;
    for path in &setup.mounts {
        bind_toolchain_path(path)?;
    }
    populate_dev()?;
    mount_proc()?;
    make_dir(&format!("{NEW_ROOT}{BOX_DIR}"))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let options = format!("size={},nr_inodes={},mode=755", setup.box_bytes, setup.box_inodes);
    tmpfs(&format!("{NEW_ROOT}{BOX_DIR}"), flags, &options)?;
    link("box/tmp", &format!("{NEW_ROOT}/tmp"))?;
    let mounts = InitMounts { program: mount_program_dir(setup.box_bytes)?, proc: mount_private_proc()? };
    enter_new_root()?;
    Ok(mounts)
}

/// Mounts a file system for the loaded program. It is read-only for all, since its owner may be the programs' own
/// user; the init keeps a second, writable mount of it.
fn mount_program_dir(bytes: u64) -> Result<OwnedFd, StepError> {
    let target = format!("{NEW_ROOT}{PROGRAM_DIR}");
    make_dir(&target)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    tmpfs(&target, flags, &format!("size={bytes},nr_inodes=16,mode=755"))?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let writable = open_tree(CWD, &target, clone).step(|| format!("keep a mount of {PROGRAM_DIR}"))?;
    mount_remount(&target, MountFlags::BIND | MountFlags::RDONLY | flags, "")
        .step(|| format!("make {PROGRAM_DIR} read-only"))?;
    Ok(writable)
}

fn enter_new_root() -> Result<(), StepError> {
    chdir(NEW_ROOT).step(|| "enter the new root".to_owned())?;
    pivot_root(".", ".").step(|| "change the root".to_owned())?;
    unmount(".", UnmountFlags::DETACH).step(|| "unmount the host's root".to_owned())?;
    chdir("/").step(|| "enter the new root".to_owned())?;
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount_remount("/", flags, "").step(|| "make the root read-only".to_owned())
}

/// Binds one directory of the host's root, or creates the same link if the host has one (`/bin` to `usr/bin`).
fn bind_toolchain_dir(name: &str) -> Result<(), StepError> {
    let (source, target) = (format!("/{name}"), format!("{NEW_ROOT}/{name}"));
    let Ok(kind) = fs::symlink_metadata(&source) else { return Ok(()) };
    if kind.is_symlink() {
        let to = fs::read_link(&source).step(|| format!("read the link {source}"))?;
        return link(&to.to_string_lossy(), &target);
    }
    make_dir(&target)?;
    bind(&source, &target, MountAttrFlags::MOUNT_ATTR_NODEV)
}

fn write_etc(setup: &SlotSetup) -> Result<(), StepError> {
    make_dir(&format!("{NEW_ROOT}/etc"))?;
    for (name, content) in [("passwd", PASSWD), ("group", GROUP)] {
        let content = content.replace("RUNNER", &setup.uid.to_string());
        fs::write(format!("{NEW_ROOT}/etc/{name}"), content).step(|| format!("write /etc/{name}"))?;
    }
    make_dir(&format!("{NEW_ROOT}/etc/gavel"))?;
    fs::write(format!("{NEW_ROOT}/etc/gavel/cpus.js"), NODE_CPUS)
        .step(|| "write /etc/gavel/cpus.js".to_owned())
}

/// Binds one file or directory of the host at the same path.
fn bind_toolchain_path(source: &str) -> Result<(), StepError> {
    // If it does not exist, the toolchain that needs it is missing as well.
    let Ok(kind) = fs::metadata(source) else { return Ok(()) };
    let target = format!("{NEW_ROOT}{source}");
    if kind.is_dir() {
        make_dir(&target)?;
    } else {
        let parent = Path::new(&target).parent().map(|path| path.to_string_lossy().into_owned());
        make_dir(&parent.unwrap_or_default())?;
        fs::write(&target, "").step(|| format!("make {target}"))?;
    }
    bind(source, &target, MountAttrFlags::MOUNT_ATTR_NODEV)
}

fn populate_dev() -> Result<(), StepError> {
    let dev = format!("{NEW_ROOT}/dev");
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

/// Mounts a `/proc` with only the directories of a program's own processes: it shows nothing of the init, nor of the
/// host's memory, devices or settings. It is read-only, so that a program cannot make the init a likelier target of an
/// out-of-memory kill than itself.
fn mount_proc() -> Result<(), StepError> {
    let proc = format!("{NEW_ROOT}/proc");
    make_dir(&proc)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", &proc, "proc", flags, Some(c"subset=pid,hidepid=2")).step(|| {
        "mount /proc with subset=pid (needs Linux 5.8, and no masked paths in the judge's own /proc: podman \
         --security-opt unmask=/proc/*, Docker --security-opt systempaths=unconfined, Kubernetes procMount: Unmasked)"
            .to_owned()
    })?;
    mount_remount(&proc, MountFlags::BIND | MountFlags::RDONLY | flags, "")
        .step(|| "make /proc read-only".to_owned())
}

fn mount_private_proc() -> Result<OwnedFd, StepError> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let mounted = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC).and_then(|context| {
        fsconfig_set_string(&context, "subset", "pid")?;
        fsconfig_create(&context)?;
        let mounted = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        // The descriptor of a mount itself cannot be read.
        openat(mounted, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    });
    mounted.step(|| "mount a private /proc".to_owned())
}

fn tmpfs(target: &str, flags: MountFlags, options: &str) -> Result<(), StepError> {
    let data = std::ffi::CString::new(options).map_err(|_| Errno::INVAL);
    data.and_then(|data| mount("tmpfs", target, "tmpfs", flags, Some(data.as_c_str())))
        .step(|| format!("mount a tmpfs on {target}"))
}

/// Binds a path of the host, with all mounts below it, read-only.
fn bind(source: &str, target: &str, attributes: MountAttrFlags) -> Result<(), StepError> {
    mount_bind_recursive(source, target).step(|| format!("bind {source}"))?;
    restrict(target, attributes | MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID)
        .step(|| format!("make {source} read-only (needs Linux 5.12)"))
}

/// Adds attributes to a mount and all mounts below it. A remount would have to repeat the attributes that a user
/// namespace may not clear.
#[expect(unsafe_code, reason = "mount_setattr has no safe form")]
fn restrict(target: &str, attributes: MountAttrFlags) -> Result<(), Errno> {
    let target = std::ffi::CString::new(target).map_err(|_| Errno::INVAL)?;
    let change =
        libc::mount_attr { attr_set: attributes.bits().into(), attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: path and structure belong to this function and outlive the call; the size is that of the structure.
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
