//! [`Env`] reads settings from environment variables and collects the problems it finds.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fmt::Display;
use std::io::ErrorKind;
use std::str::FromStr;
use std::time::Duration;

use gavel_domain::Secret;

/// One environment variable, as `--help` and the documentation show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The name of the variable; it ends in the unit.
    pub name: &'static str,
    /// The default value; empty if there is none.
    pub default: String,
    /// What it does, in one line.
    pub help: &'static str,
}

/// All problems of a configuration, one a line.
#[derive(Debug, thiserror::Error)]
#[error("{}", problems.join("\n"))]
pub struct ConfigError {
    problems: Vec<String>,
}

/// Environment variables, the settings read from them, and the problems found.
#[derive(Default)]
pub struct Env {
    values: HashMap<String, String>,
    /// Names of variables whose values are not UTF-8.
    not_utf8: HashSet<String>,
    settings: Vec<Setting>,
    problems: Vec<String>,
}

impl Env {
    /// Returns the environment of this process.
    #[must_use]
    pub fn from_process() -> Self {
        Self::from_os(std::env::vars_os())
    }

    /// A value that is not UTF-8 becomes a problem when it is read. Treating it as unset could, for example, disable
    /// authentication.
    fn from_os(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut env = Self::default();
        for (name, value) in variables {
            // All names of settings are ASCII.
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => drop(env.values.insert(name, value)),
                Err(_) => drop(env.not_utf8.insert(name)),
            }
        }
        env
    }

    /// Returns an environment that consists of `variables`.
    pub fn from_vars(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { values: variables.into_iter().collect(), ..Self::default() }
    }

    /// Reads a variable with a default. An empty variable counts as unset.
    pub fn get<T>(&mut self, name: &'static str, default: T, help: &'static str) -> T
    where
        T: FromStr + Display,
    {
        self.settings.push(Setting { name, default: default.to_string(), help });
        let Some(text) = self.value(name) else { return default };
        text.parse().unwrap_or_else(|_| {
            self.problems.push(format!("{name}={text:?} is invalid: {help} (default: {default})"));
            default
        })
    }

    /// Reads a number from `min` to `max`, both included.
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

    /// Reads a duration in milliseconds, from 1 ms to one day.
    pub fn millis(&mut self, name: &'static str, default: Duration, help: &'static str) -> Duration {
        let default = u64::try_from(default.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.number(name, default, 1, 86_400_000, help))
    }

    /// Reads a duration in seconds, from 1 s to 30 days.
    pub fn seconds(&mut self, name: &'static str, default: Duration, help: &'static str) -> Duration {
        Duration::from_secs(self.number(name, default.as_secs(), 1, 30 * 86_400, help))
    }

    /// Reads a variable without a default.
    pub fn optional(&mut self, name: &'static str, help: &'static str) -> Option<String> {
        self.settings.push(Setting { name, default: String::new(), help });
        self.value(name)
    }

    /// Reads a variable that must be set.
    pub fn required(&mut self, name: &'static str, help: &'static str) -> String {
        self.optional(name, help).unwrap_or_else(|| {
            self.problems.push(format!("{name} must be set: {help}"));
            String::new()
        })
    }

    /// Reads a secret from the variable, or from the file that `NAME_FILE` names. No problem ever contains its value.
    pub fn secret(&mut self, name: &'static str, help: &'static str) -> Option<Secret> {
        let value = self.optional(name, help);
        let file = format!("{name}_FILE");
        let Some(path) = self.value(&file) else { return value.map(Secret::new) };
        if value.is_some() {
            self.problems.push(format!("{name} and {file} are both set: unset one of them"));
            return None;
        }
        match std::fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => return Some(Secret::new(text.trim())),
            Ok(_) => self.problems.push(format!("{file}={path:?}: the file is empty")),
            Err(error) => self.add_unreadable_file(&file, &path, &error),
        }
        None
    }

    /// Reads a list of secrets, separated by commas or newlines.
    pub fn secrets(&mut self, name: &'static str, help: &'static str) -> Vec<Secret> {
        let Some(text) = self.secret(name, help) else { return Vec::new() };
        let parts = text.expose().split([',', '\n']).map(str::trim);
        let secrets: Vec<Secret> = parts.filter(|part| !part.is_empty()).map(Secret::new).collect();
        if secrets.is_empty() {
            self.problems.push(format!("{name} is set but contains no value: unset it or add a value"));
        }
        secrets
    }

    /// Returns a copy with the same variables, without the settings and problems collected so far.
    #[must_use]
    pub fn unread_copy(&self) -> Self {
        Self { values: self.values.clone(), ..Self::default() }
    }

    /// Sets a variable, overriding the environment.
    pub fn set(&mut self, name: &str, value: &str) {
        self.not_utf8.remove(name);
        self.values.insert(name.to_owned(), value.to_owned());
    }

    /// Returns the problems found so far.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Adds a problem that only the caller can detect.
    pub fn add_problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Adds the problem that the file at `path`, which the variable `name` holds, cannot be read.
    pub fn add_unreadable_file(&mut self, name: &str, path: &str, error: &std::io::Error) {
        let remedy = match error.kind() {
            ErrorKind::NotFound => "set it to the path of a file, or unset it",
            ErrorKind::PermissionDenied => "let the user of this process read it",
            _ => "set it to the path of a text file",
        };
        self.problems.push(format!("{name}={path:?}: cannot read the file: {error}; {remedy}"));
    }

    /// Returns the settings read so far, in order.
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// Finishes reading.
    ///
    /// # Errors
    /// Returns an error with all problems if there are any.
    pub fn finish(self) -> Result<(), ConfigError> {
        if self.problems.is_empty() { Ok(()) } else { Err(ConfigError { problems: self.problems }) }
    }

    fn value(&mut self, name: &str) -> Option<String> {
        if self.not_utf8.remove(name) {
            self.problems.push(format!("{name} is not UTF-8"));
        }
        self.values.get(name).filter(|text| !text.is_empty()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        Env::from_vars(pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())))
    }

    #[test]
    fn unset_and_empty_variables_have_their_default() {
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
        env.required("URL", "the address");
        let text = env.finish().unwrap_err().to_string();
        for part in ["PORT=\"http\" is invalid", "WAIT_MS=0 must be from 1", "URL must be set"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn value_that_is_not_utf8_is_a_problem_when_read() {
        use std::os::unix::ffi::OsStringExt as _;
        let broken = || OsString::from_vec(b"\xff".to_vec());
        let mut env =
            Env::from_os([("KEYS".into(), broken()), ("OTHER".into(), broken()), (broken(), "1".into())]);
        assert!(env.secrets("KEYS", "").is_empty());
        assert_eq!(env.problems(), ["KEYS is not UTF-8"]);
    }

    #[test]
    fn list_without_secrets_is_a_problem() {
        let mut env = env(&[("KEYS", " , ")]);
        env.secrets("KEYS", "");
        assert_eq!(env.problems().len(), 1);
    }

    #[test]
    fn secrets_are_redacted_in_debug_output() {
        let mut env = env(&[("KEYS", "one, two,,")]);
        let keys = env.secrets("KEYS", "");
        assert_eq!(keys.iter().map(Secret::expose).collect::<Vec<_>>(), ["one", "two"]);
        assert!(!format!("{keys:?}").contains("one"));
    }

    #[test]
    fn secret_comes_from_the_variable_or_a_file_but_not_both() {
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
