//! The help of every command, compared with the snapshots next to this file.
//!
//! To change a help text, change it in the code, run `INSTA_UPDATE=always cargo nextest run -p gavel-cli help`, and
//! commit the changed snapshots.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Where the snapshots are. Their names are those of the commands: `gavel`, `gavel-dead`, `gavel-dead-list`.
const SNAPSHOTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/snapshots");

/// Returns the help that a command prints, at a width that does not depend on the terminal.
fn help(command: &[String], option: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_gavel"))
        .args(command)
        .arg(option)
        .env_clear()
        .env("COLUMNS", "100")
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{command:?} {option}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the names under "Commands:", except for `help`.
fn subcommands(help: &str) -> Vec<String> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = list.take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// Checks the help of a command and of its subcommands, and adds their names to `names`.
fn check(command: &[String], names: &mut BTreeSet<String>) {
    let (short, long) = (help(command, "-h"), help(command, "--help"));
    let name = [&["gavel".to_owned()], command].concat().join("-");
    let text = if short == long { long } else { format!("{long}\n--- with -h ---\n\n{short}") };
    insta::with_settings!({ snapshot_path => SNAPSHOTS, prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name.as_str(), text);
    });
    names.insert(name);
    for subcommand in subcommands(&short) {
        check(&[command, &[subcommand]].concat(), names);
    }
}

#[test]
fn help_of_every_command_matches_its_snapshot() {
    let mut names = BTreeSet::new();
    check(&[], &mut names);
    assert!(names.len() >= 18, "commands are missing: {names:?}");
    let files = std::fs::read_dir(Path::new(SNAPSHOTS)).unwrap().map(|entry| entry.unwrap().file_name());
    let files: BTreeSet<_> =
        files.filter_map(|file| Some(file.to_str()?.strip_suffix(".snap")?.to_owned())).collect();
    assert_eq!(files, names, "every command has a snapshot, and every snapshot a command");
}
