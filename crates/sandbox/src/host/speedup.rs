//! Whether what was prepared for a toolchain at its installation may be used: only as long as nothing that it was made
//! from has changed. Otherwise compilations do without, which takes longer and has the same result.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::language::{Language, Speedup};

/// The arguments that make this language's compilations faster now.
pub(crate) async fn usable(language: &Language) -> Option<Speedup> {
    let speedup = language.speedup.clone()?;
    // Some hundred calls of stat, which take a millisecond.
    let checked = tokio::task::spawn_blocking(move || is_unchanged(&speedup.inputs).then_some(speedup));
    checked.await.ok().flatten()
}

/// Whether every file that a list names has the size and the time of change that the list has.
///
/// A line of the list has the size in bytes, the time in seconds and the path. Returns `false` if there is no list, or if
/// it has no line or one of another form.
fn is_unchanged(inputs: &Path) -> bool {
    let Ok(list) = fs::read_to_string(inputs) else { return false };
    !list.is_empty() && list.lines().all(|line| is_input_unchanged(line).unwrap_or(false))
}

fn is_input_unchanged(line: &str) -> Option<bool> {
    let mut fields = line.splitn(3, ' ');
    let (size, time) = (fields.next()?.parse::<u64>().ok()?, fields.next()?.parse::<i64>().ok()?);
    let metadata = fs::metadata(fields.next()?).ok()?;
    Some(metadata.len() == size && metadata.mtime() == time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(file: &Path) -> String {
        let metadata = fs::metadata(file).unwrap();
        format!("{} {} {}\n", metadata.len(), metadata.mtime(), file.display())
    }

    #[test]
    fn list_is_unchanged_only_while_each_of_its_files_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        let (one, other, list) = (path("one"), path("a name with spaces"), path("inputs"));
        assert!(!is_unchanged(&list), "no list");
        fs::write(&one, "1").unwrap();
        fs::write(&other, "2").unwrap();
        let lines = line(&one) + &line(&other);
        fs::write(&list, &lines).unwrap();
        assert!(is_unchanged(&list));

        fs::write(&other, "22").unwrap();
        assert!(!is_unchanged(&list), "another size");
        fs::write(&list, line(&one) + &line(&other)).unwrap();
        assert!(is_unchanged(&list));
        let times = fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH);
        fs::File::options().write(true).open(&one).unwrap().set_times(times).unwrap();
        assert!(!is_unchanged(&list), "another time");

        fs::write(&list, line(&one) + &line(&other)).unwrap();
        fs::remove_file(&one).unwrap();
        assert!(!is_unchanged(&list), "a file less");
        for invalid in ["", "\n", "1\n", "1 2\n", "x 2 /usr\n"] {
            fs::write(&list, invalid).unwrap();
            assert!(!is_unchanged(&list), "{invalid:?}");
        }
    }
}
