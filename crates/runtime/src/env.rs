//! Configuration: environment variables, read once, with all problems reported together.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

pub use gavel_domain::Secret;

/// One variable as a service knows it, for `--help` and the documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The variable's name; it ends in its unit.
    pub name: &'static str,
    /// What holds where it is not set; empty for nothing.
    pub default: String,
    /// What it does, in one line.
    pub help: &'static str,
}

/// All that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
#[error("{}", problems.join("\n"))]
pub struct ConfigError {
    problems: Vec<String>,
}

/// The environment, and what was asked of it.
#[derive(Default)]
pub struct Env {
    values: HashMap<String, String>,
    /// Names of variables whose values are not UTF-8.
    unreadable: HashSet<String>,
    settings: Vec<Setting>,
    problems: Vec<String>,
}

impl Env {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self::of_os(std::env::vars_os())
    }

    /// A value that is not UTF-8 is a problem once it is asked for: to take it for not set could open a door.
    fn of_os(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut env = Self::default();
        for (name, value) in variables {
            // None of our names is anything but ASCII.
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => drop(env.values.insert(name, value)),
                Err(_) => drop(env.unreadable.insert(name)),
            }
        }
        env
    }

    /// An environment of these variables.
    pub fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { values: variables.into_iter().collect(), ..Self::default() }
    }

    /// A variable with a default. An empty one counts as not set.
    pub fn get<T>(&mut self, name: &'static str, default: T, help: &'static str) -> T
    where
        T: FromStr + Display,
    {
        self.settings.push(Setting { name, default: default.to_string(), help });
        let Some(text) = self.value(name) else { return default };
        text.parse().unwrap_or_else(|_| {
            self.problems.push(format!("{name}={text:?} is not valid (default: {default}): {help}"));
            default
        })
    }

    /// A whole number within bounds.
    pub fn number<T>(&mut self, name: &'static str, default: T, min: T, max: T, help: &'static str) -> T
    where
        T: FromStr + Display + PartialOrd + Copy,
    {
        let number = self.get(name, default, help);
        if number < min || number > max {
            self.problems.push(format!("{name}={number} must be from {min} to {max}"));
            return default;
        }
        number
    }

    /// A time in milliseconds, from 1 ms to a day.
    pub fn millis(&mut self, name: &'static str, default: Duration, help: &'static str) -> Duration {
        let default = u64::try_from(default.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.number(name, default, 1, 86_400_000, help))
    }

    /// A time in seconds, from 1 s to 30 days.
    pub fn seconds(&mut self, name: &'static str, default: Duration, help: &'static str) -> Duration {
        Duration::from_secs(self.number(name, default.as_secs(), 1, 30 * 86_400, help))
    }

    /// A variable without a default.
    pub fn optional(&mut self, name: &'static str, help: &'static str) -> Option<String> {
        self.settings.push(Setting { name, default: String::new(), help });
        self.value(name)
    }

    /// A variable that must be set.
    pub fn required(&mut self, name: &'static str, help: &'static str) -> String {
        self.optional(name, help).unwrap_or_else(|| {
            self.problems.push(format!("{name} must be set: {help}"));
            String::new()
        })
    }

    /// A secret: the variable itself, or the content of the file that `NAME_FILE` names. It is never part of a
    /// problem.
    pub fn secret(&mut self, name: &'static str, help: &'static str) -> Option<Secret> {
        let value = self.optional(name, help);
        let file = format!("{name}_FILE");
        let Some(path) = self.value(&file) else { return value.map(Secret::new) };
        if value.is_some() {
            self.problems.push(format!("{name} and {file} are both set: leave one of them empty"));
            return None;
        }
        match std::fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => return Some(Secret::new(text.trim())),
            Ok(_) => self.problems.push(format!("{file}={path:?} is empty")),
            Err(error) => self.problems.push(format!("{file}={path:?} cannot be read: {error}")),
        }
        None
    }

    /// Secrets, separated by commas or, in a file, by line ends.
    pub fn secrets(&mut self, name: &'static str, help: &'static str) -> Vec<Secret> {
        let Some(text) = self.secret(name, help) else { return Vec::new() };
        let parts = text.expose().split([',', '\n']).map(str::trim);
        let secrets: Vec<Secret> = parts.filter(|part| !part.is_empty()).map(Secret::new).collect();
        if secrets.is_empty() {
            self.problems.push(format!("{name} is set and names nothing: leave it empty, or fill it"));
        }
        secrets
    }

    /// The same variables, of which nothing has been asked yet.
    #[must_use]
    pub fn afresh(&self) -> Self {
        Self { values: self.values.clone(), ..Self::default() }
    }

    /// Puts a variable in the place of what was set.
    pub fn set(&mut self, name: &str, value: &str) {
        self.unreadable.remove(name);
        self.values.insert(name.to_owned(), value.to_owned());
    }

    /// What is wrong so far.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Records a problem that only the caller can see.
    pub fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// What was asked for, in order, for `--help`.
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem there was.
    pub fn finish(self) -> Result<(), ConfigError> {
        if self.problems.is_empty() { Ok(()) } else { Err(ConfigError { problems: self.problems }) }
    }

    fn value(&mut self, name: &str) -> Option<String> {
        if self.unreadable.remove(name) {
            self.problems.push(format!("{name} is not UTF-8"));
        }
        self.values.get(name).filter(|text| !text.is_empty()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        Env::of(pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())))
    }

    #[test]
    fn defaults_hold_where_nothing_or_nothing_much_is_set() {
        let mut env = env(&[("A", ""), ("B", "7")]);
        assert_eq!(env.get("A", 1_u16, ""), 1);
        assert_eq!(env.get("B", 1_u16, ""), 7);
        assert_eq!(env.optional("C", ""), None);
        assert!(env.finish().is_ok());
    }

    #[test]
    fn all_problems_are_reported_together() {
        let mut env = env(&[("PORT", "http"), ("WAIT_MS", "0")]);
        env.get("PORT", 4001_u16, "the port");
        env.millis("WAIT_MS", Duration::from_secs(1), "the wait");
        env.required("URL", "where it is");
        let text = env.finish().unwrap_err().to_string();
        for part in ["PORT=\"http\" is not valid", "WAIT_MS=0 must be from 1", "URL must be set"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn what_is_not_utf_8_is_a_problem_where_it_is_asked_for() {
        use std::os::unix::ffi::OsStringExt as _;
        let broken = || OsString::from_vec(b"\xff".to_vec());
        let mut env =
            Env::of_os([("KEYS".into(), broken()), ("OTHER".into(), broken()), (broken(), "1".into())]);
        assert!(env.secrets("KEYS", "").is_empty());
        assert_eq!(env.problems(), ["KEYS is not UTF-8"]);
    }

    #[test]
    fn a_list_of_no_secrets_is_a_mistake() {
        let mut env = env(&[("KEYS", " , ")]);
        env.secrets("KEYS", "");
        assert_eq!(env.problems().len(), 1);
    }

    #[test]
    fn secrets_do_not_show() {
        let mut env = env(&[("KEYS", "one, two,,")]);
        let keys = env.secrets("KEYS", "");
        assert_eq!(keys.iter().map(Secret::expose).collect::<Vec<_>>(), ["one", "two"]);
        assert!(!format!("{keys:?}").contains("one"));
    }

    #[test]
    fn a_secret_may_come_in_a_file_and_from_one_place_only() {
        let file = std::env::temp_dir().join(format!("gavel-secret-{}", std::process::id()));
        std::fs::write(&file, "one\ntwo, three\n").unwrap();
        let path = file.to_str().unwrap();
        let mut good = env(&[("KEYS_FILE", path)]);
        let keys = good.secrets("KEYS", "");
        assert_eq!(keys.iter().map(Secret::expose).collect::<Vec<_>>(), ["one", "two", "three"]);
        assert!(good.finish().is_ok());
        for wrong in [&[("KEYS_FILE", path), ("KEYS", "four")][..], &[("KEYS_FILE", "/no/such/file")]] {
            let mut env = env(wrong);
            assert_eq!(env.secret("KEYS", ""), None);
            let text = env.finish().unwrap_err().to_string();
            assert!(text.contains("KEYS_FILE") && !text.contains("four"), "{text}");
        }
        std::fs::remove_file(file).unwrap();
    }
}
