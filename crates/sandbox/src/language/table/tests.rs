use gavel_domain::catalogue;

use super::*;

const ZIG: &str = r#"
[[language]]
ids = [71, 200]
name = "Zig"
toolchain = "/opt/zig/zig"
version = ["/opt/zig/zig", "version"]
source = "main.zig"
compile = ["/opt/zig/zig", "build-exe", "main.zig"]
artefact = "main"
run = ["/box/program/main"]
mounts = ["/opt/zig"]
"#;

fn entry(table: &Languages, id: u32) -> Option<&Arc<Language>> {
    table.entries().iter().find(|language| language.ids.contains(&id))
}

fn with(text: &str) -> Result<Languages, TableError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    Languages::default().with_file(file.path())
}

/// The error text of a file, after its path.
fn problem(text: &str) -> String {
    let error = with(text).unwrap_err().to_string();
    error.split_once(", ").unwrap().1.to_owned()
}

#[test]
fn built_in_table_has_every_documented_id() {
    let table = Languages::default();
    for id in [
        70, 71, 63, 74, 62, 91, 54, 52, 53, 76, 50, 48, 49, 75, 51, 72, 73, 60, 78, 111, 68, 83, 61, 46, 85,
        64, 65, 67, 59, 80, 82, 92, 109, 93, 97, 102, 105, 103, 108, 95, 106, 107,
    ] {
        assert!(entry(&table, id).is_some(), "{id}");
        assert!(catalogue::version(LanguageId(id)).is_some(), "{id}");
    }
    let mut keys: Vec<_> = table.entries().iter().map(|language| language.key.clone().unwrap()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), table.entries().len(), "each has its own key");
}

#[test]
fn entry_names_begin_with_the_catalogue_label_of_each_id() {
    let table = Languages::default();
    let ids: Vec<_> = table.entries().iter().flat_map(|language| &language.ids).collect();
    assert_eq!(ids.len(), 50);
    for language in table.entries() {
        let short = language.name.split(" (").next().unwrap();
        for id in &language.ids {
            assert_eq!(catalogue::label(LanguageId(*id)), Some(short), "{id}");
        }
        assert!(short.len() <= 10, "{short} is longer than the column of `gavel tap`");
    }
}

#[test]
fn languages_page_lists_each_entry_with_its_ids() {
    let page = include_str!("../../../../../docs/languages.md");
    for language in Languages::default().entries() {
        let mut ids = language.ids.clone();
        ids.sort_unstable();
        let ids: Vec<_> = ids.iter().map(u32::to_string).collect();
        let row = format!("| {} | {} |", language.name, ids.join(", "));
        assert!(page.contains(&row), "docs/languages.md has no row that begins with {row}");
    }
}

#[test]
fn operator_entry_adds_ids_and_overrides_others() {
    let table = with(ZIG).unwrap();
    assert_eq!(entry(&table, 200).unwrap().name, "Zig");
    assert_eq!(entry(&table, 71).unwrap().name, "Zig");
    assert_eq!(entry(&table, 92).unwrap().name, "Python");
    assert_eq!(with("").unwrap().entries().len(), Languages::default().entries().len());
    let few = Languages::default().only(&[50, 71]);
    assert_eq!(few.entries().len(), 2);
}

#[test]
fn mistake_is_reported_with_line_and_field() {
    let rows = [
        ("ids = [71, 200]", "ids = []", "line 3, ids: must contain at least one"),
        ("ids = [71, 200]", "ids = [71, 71]", "line 3, ids: 71 is listed twice"),
        ("ids = [71, 200]", "ids = \"71\"", "line 3, ids: invalid type: string"),
        ("ids = [71, 200]", "ids = [-1]", "line 3, ids: invalid value"),
        ("name = \"Zig\"", "name = \" \"", "line 4, name: must be 1 to 100"),
        ("name = \"Zig\"", "nom = \"Zig\"", "line 4, nom: unknown field `nom`"),
        ("name = \"Zig\"", "", "line 2: missing field `name`"),
        ("toolchain = \"/opt", "toolchain = \"opt", "line 5, toolchain: must be an absolute path"),
        ("version = [\"/opt/zig/zig\", \"version\"]", "version = []", "line 6, version: must be a command"),
        ("source = \"main.zig\"", "source = \"../main.zig\"", "line 7, source: must be a file name"),
        ("artefact = \"main\"", "", "line 2, artefact: must be set if and only if `compile`"),
        ("compile = [\"/opt", "compile = [\"opt", "line 8, compile: must start with an absolute path"),
        (
            "mounts = [\"/opt/zig\"]",
            "compile_fallbacks = [[\"zig\"]]",
            "line 11, compile_fallbacks: must start with an absolute path",
        ),
        (
            "mounts = [\"/opt/zig\"]",
            "compile_fallbacks = [[]]",
            "line 11, compile_fallbacks: must be a command",
        ),
        (
            "mounts = [\"/opt/zig\"]",
            "compile_fallbacks = [[\"/a\"], [\"/b\"], [\"/c\"], [\"/d\"]]",
            "line 11, compile_fallbacks: must be at most 3 commands",
        ),
        ("[\"/box/program/main\"]", "[\"/usr/bin/true\"]", "line 10, run: must run /box/program/main"),
        (
            "mounts = [\"/opt/zig\"]",
            "mounts = [\"/opt/../proc\"]",
            "line 11, mounts: \"/opt/../proc\" must be",
        ),
        ("mounts = [\"/opt/zig\"]", "mounts = [\"/etc\"]", "line 11, mounts: \"/etc\" must be"),
        ("mounts = [\"/opt/zig\"]", "environment = [\"=x\"]", "line 11, environment: must be a list"),
        (
            "mounts = [\"/opt/zig\"]",
            "out_of_memory = \"(\"",
            "line 11, out_of_memory: not a regular expression",
        ),
        ("mounts = [\"/opt/zig\"]", "compile_cpu_s = 0", "line 11, compile_cpu_s: must be 1 to 600"),
        (
            "mounts = [\"/opt/zig\"]",
            "compile_fallbacks = [[\"/a\"], [\"/b\"], [\"/c\"], [\"/d\"]]",
            "line 11, compile_fallbacks: must be at most 3 commands",
        ),
        (
            "mounts = [\"/opt/zig\"]",
            "extra_memory_mib = 9999999",
            "line 11, extra_memory_mib: must be at most",
        ),
        (
            "mounts = [\"/opt/zig\"]",
            "front_end = { source = \"main.zig\", build = [\"/opt/zig/zig\"] }",
            "line 11, front_end: there is no front end \"main.zig\"",
        ),
        (
            "mounts = [\"/opt/zig\"]",
            "front_end = { source = \"CompileJava.java\", build = [\"java\"] }",
            "line 11, front_end: must start with an absolute path",
        ),
        (
            "compile = [\"/opt/zig/zig\", \"build-exe\", \"main.zig\"]\nartefact = \"main\"",
            "front_end = { source = \"CompileJava.java\", build = [\"/opt/zig/zig\"] }",
            "line 8, front_end: must be used by `compile`",
        ),
        (
            "run = [\"/box/program/main\"]",
            "run = [\"/box/program/main\", \"\\u0000\"]",
            "line 10, run: must not contain a NUL byte",
        ),
        ("mounts = [\"/opt/zig\"]", "mounts = [\"/opt/zig\"", "line 11"),
        ("[[language]]", "[[languages]]", "line 2: unknown field `languages`"),
    ];
    for (from, to, expected) in rows {
        assert!(ZIG.contains(from), "{from}");
        let problem = problem(&ZIG.replacen(from, to, 1));
        assert!(problem.starts_with(expected), "{to}: {problem}");
        assert!(!problem.contains('\n'), "{problem}");
    }
}

#[test]
fn fallbacks_need_a_compile_command() {
    let interpreted = "
[[language]]
ids = [200]
name = \"Zig\"
toolchain = \"/opt/zig/zig\"
version = [\"/opt/zig/zig\"]
source = \"main.zig\"
run = [\"/opt/zig/zig\", \"/box/program/main.zig\"]
compile_fallbacks = [[\"/opt/zig/zig\"]]
";
    assert_eq!(problem(interpreted), "line 9, compile_fallbacks: must not be set without `compile`");
}

#[test]
fn missing_file_is_named() {
    let error =
        Languages::default().with_file(Path::new("/nonexistent/languages.toml")).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/languages.toml"), "{error}");
}
