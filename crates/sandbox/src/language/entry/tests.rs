use super::*;
use crate::language::Languages;

const HEAP_SPACE: &str = "java.lang.OutOfMemoryError: Java heap space";

/// Whether the JVM of Java and of Kotlin is found to have run out of memory, from what it wrote to standard error.
fn is_out_of_memory(stderr: &str) -> bool {
    let languages = Languages::default();
    let patterns = [62, 78].map(|id| {
        let entry = languages.entries().iter().find(|entry| entry.ids.contains(&id)).unwrap();
        entry.out_of_memory.clone().unwrap()
    });
    let [java, kotlin] = patterns.map(|pattern| pattern.is_match(stderr.as_bytes()));
    assert_eq!(java, kotlin, "{stderr}");
    java
}

#[test]
fn uncaught_error_of_the_jvm_means_out_of_memory() {
    for message in [
        "Java heap space",
        "Java heap space: failed reallocation of scalar replaced objects",
        "Requested array size exceeds VM limit",
        "Metaspace",
        "Cannot reserve 1048576 bytes of direct buffer memory (allocated: 8192, limit: 8192)",
        "Direct buffer memory",
        "Unable to allocate 1099511627776 bytes",
    ] {
        let report = format!("Exception in thread \"main\" java.lang.OutOfMemoryError: {message}\n");
        assert!(is_out_of_memory(&report), "{message}");
        assert!(is_out_of_memory(&format!(
            "before\n{report}\tat Main.f(Main.java:3)\n\tat Main.main(Main.java:9)\n"
        )));
    }
}

#[test]
fn uncaught_exception_that_the_error_caused_means_out_of_memory() {
    let wrapped = format!(
        "Exception in thread \"pool-1 \"x\"\" java.lang.RuntimeException: no: {HEAP_SPACE}\n\tat Main.g(Main.java:2)\n\
         Caused by: java.util.concurrent.ExecutionException: x\n\tat Main.f(Main.java:3)\n\t... 1 more\n\
         Caused by: {HEAP_SPACE}\n\tat Main.f(Main.java:4)\n\t... 2 more\n"
    );
    assert!(is_out_of_memory(&wrapped));
    assert!(!is_out_of_memory(wrapped.split_once('\n').unwrap().1), "printed by the program");
}

#[test]
fn jvm_that_cannot_report_the_error_means_out_of_memory() {
    for report in [
        "\nException: java.lang.OutOfMemoryError thrown from the UncaughtExceptionHandler in thread \"main\"\n",
        "#\n# There is insufficient memory for the Java Runtime Environment to continue.\n# Native memory\n",
    ] {
        assert!(is_out_of_memory(report), "{report}");
    }
}

#[test]
fn other_failures_do_not_mean_out_of_memory() {
    let caught = format!("{HEAP_SPACE}\n\tat Main.main(Main.java:9)\n");
    let in_a_thread = format!("Exception in thread \"Thread-0\" {HEAP_SPACE}\n\tat Main.f(Main.java:9)\n");
    let failure =
        "Exception in thread \"main\" java.lang.IllegalStateException\n\tat Main.main(Main.java:9)\n";
    for stderr in [
        caught.clone(),
        format!("{caught}{failure}"),
        format!("{in_a_thread}{failure}"),
        format!("{failure}{caught}"),
        format!("{HEAP_SPACE}\n"),
        format!("Exception in thread \"main\" java.lang.RuntimeException: {HEAP_SPACE}\n\tat Main.main(Main.java:9)\n"),
        "Exception in thread \"main\" java.lang.RuntimeException: java.lang.OutOfMemoryError\n".to_owned(),
        "Exception in thread \"main\" java.lang.OutOfMemoryError: x\n\tat Main.main(Main.java:9)\n".to_owned(),
        "Exception in thread \"main\" java.lang.OutOfMemoryError\n\tat Main.main(Main.java:9)\n".to_owned(),
        "Exception in thread \"main\" java.lang.OutOfMemoryError: unable to create native thread: possibly out of \
         memory or process/resource limits reached\n\tat java.base/java.lang.Thread.start0(Native Method)\n"
            .to_owned(),
        "Exception in thread \"main\" java.lang.StackOverflowError\n\tat Main.f(Main.java:9)\n".to_owned(),
    ] {
        assert!(!is_out_of_memory(&stderr), "{stderr}");
    }
}

#[test]
fn sizes_of_a_jvm_follow_from_the_memory_limit() {
    let sizes = |mib: u64| {
        let limits = RunLimits { memory_bytes: mib * MIB, ..RunLimits::default() };
        expand("{memory_mib} {heap_mib} {young_mib} {stack_mib}", &limits)
    };
    assert_eq!(sizes(0), "1 13 8 1");
    assert_eq!(sizes(16), "16 28 8 16");
    assert_eq!(sizes(128), "128 164 32 128");
    assert_eq!(sizes(256), "256 324 64 128");
    assert_eq!(sizes(4096), "4096 4164 64 128");
}
