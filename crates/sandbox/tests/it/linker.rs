//! Programs in C and C++ have the same result with gold and with the usual linker. These tests need what
//! `scripts/languages c cpp c-clang cpp-clang` prepares.

use gavel_domain::{LanguageId, Outcome};
use gavel_sandbox::{Languages, Sandbox};

use crate::speedups::{MISSING, Printed, changed, result, start};
use crate::support::{C, CPP, tier};

const C_CLANG: LanguageId = LanguageId(75);
const CPP_CLANG: LanguageId = LanguageId(76);
/// The languages, with the list that the use of gold depends on.
const LANGUAGES: [(LanguageId, &str); 4] = [
    (C, "/usr/local/lib/gavel/c/inputs"),
    (CPP, "/usr/local/lib/gavel/cpp/inputs"),
    (C_CLANG, "/usr/local/lib/gavel/c-clang/inputs"),
    (CPP_CLANG, "/usr/local/lib/gavel/cpp-clang/inputs"),
];

/// Prints 1 if it was linked by gold, which adds a section. The name of that section is not in the program itself.
const LINKED_BY_GOLD: &str = r#"
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
    static char file[1 << 23];
    char name[] = "/opuf/hov/hpme";
    for (int i = 0; name[i]; i++) name[i] -= argc;
    FILE *self = fopen("/proc/self/exe", "rb");
    int found = 0, length = strlen(name), size = fread(file, 1, sizeof file, self);
    for (int i = 0; i + length <= size; i++) found |= memcmp(file + i, name, length) == 0;
    printf("%d", found);
}
"#;

/// Functions that the C library chooses at the start, threads with their own variables, and a function that nothing
/// defines.
const C_PROGRAM: &str = r#"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
_Thread_local int own = 7;
int common[1000];
void undefined(void) __attribute__((weak));
__attribute__((constructor)) static void before(void) { common[0] = 5; }
static void *work(void *total) { own += 1; *(double *)total = own + sin(0.5) + pow(1.5, 2.5); return total; }
int main(void) {
    pthread_t thread;
    double total;
    char text[64];
    pthread_create(&thread, 0, work, &total);
    pthread_join(thread, 0);
    time_t day = 86400;
    strftime(text, sizeof text, "%F", gmtime(&day));
    printf("%.6f %d %d %s %zu %d", total, own, common[0], text, strlen(strstr("one two", "tw")), undefined == 0);
}
"#;

/// Initialization of statics, exceptions across functions and threads, and what the library instantiates.
const CPP_PROGRAM: &str = r#"
#include <algorithm>
#include <future>
#include <iostream>
#include <map>
#include <mutex>
#include <random>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>
struct First { First() { std::cout << "first "; } ~First() { std::cout << " last"; } } first;
struct Base { virtual ~Base() = default; };
struct Derived : Base {};
thread_local std::string own = "own";
inline int shared = 3;
std::once_flag once;
int main() {
    auto failing = std::async(std::launch::async, []() -> int { throw std::runtime_error("from a thread"); });
    try { failing.get(); } catch (const std::exception &error) { std::cout << error.what(); }
    Base *base = new Derived;
    std::cout << (dynamic_cast<Derived *>(base) != nullptr) << own << shared;
    std::call_once(once, [] { std::cout << "once"; });
    std::thread([] { own += "!"; std::cout << own; }).join();
    std::map<std::string, std::vector<int>> map{{"a", {3, 1, 2}}};
    std::sort(map["a"].begin(), map["a"].end());
    std::mt19937 random(5);
    std::cout << map["a"][0] << random() << std::regex_match("ab12", std::regex("[a-z]+[0-9]+"));
    std::istringstream in("1.25 text");
    double number;
    in >> number >> own;
    std::cout << number << own << std::endl;
    delete base;
    std::vector<int>().at(1);
}
"#;

/// Programs that the linker rejects. On the last one, gold writes more than a compiler may.
const REJECTED: [&str; 3] = [
    "int missing(int); int main() { return missing(1); }",
    "int no_main_function() { return 1; }",
    "static char large[3u << 30]; char other[3u << 30]; int main() { return large[5] + other[7]; }",
];

/// Two sandboxes with one language: one where gold is used, and one where it is not.
async fn both(language: LanguageId, inputs: &str) -> (Sandbox, Sandbox) {
    let faster = start(Languages::default().only(&[language.0]), tier()).await;
    (faster, start(changed(language, &[(inputs, MISSING)]), tier()).await)
}

fn is_cpp(language: LanguageId) -> bool {
    [CPP, CPP_CLANG].contains(&language)
}

#[tokio::test]
async fn gold_links_if_it_is_installed() {
    for (language, inputs) in LANGUAGES {
        let (faster, usual) = both(language, inputs).await;
        let shown = |text: &str| Ok((Outcome::Exited { code: 0 }, text.as_bytes().to_vec(), Vec::new()));
        assert_eq!(result(&faster, language, LINKED_BY_GOLD).await, shown("1"), "{language:?}");
        assert_eq!(result(&usual, language, LINKED_BY_GOLD).await, shown("0"), "{language:?}");
        faster.shutdown().await;
        usual.shutdown().await;
    }
}

#[tokio::test]
async fn programs_do_the_same_whichever_linker_is_used() {
    for (language, inputs) in LANGUAGES {
        let (faster, usual) = both(language, inputs).await;
        let source = if is_cpp(language) { CPP_PROGRAM } else { C_PROGRAM };
        let linked: Result<Printed, String> = result(&faster, language, source).await;
        assert!(linked.as_ref().is_ok_and(|(_, stdout, _)| !stdout.is_empty()), "{linked:?}");
        assert_eq!(linked, result(&usual, language, source).await, "{language:?}");
        faster.shutdown().await;
        usual.shutdown().await;
    }
}

#[tokio::test]
async fn messages_are_those_of_the_usual_linker() {
    // The linker names the object file, which has a random name.
    let messages = |rejected: Result<Printed, String>| {
        let messages = rejected.unwrap_err();
        messages.lines().filter(|line| !line.contains("/tmp/")).collect::<Vec<_>>().join("\n")
    };
    for (language, inputs) in LANGUAGES {
        let (faster, usual) = both(language, inputs).await;
        for source in REJECTED {
            let rejected = messages(result(&faster, language, source).await);
            let of_linker =
                ["ld returned 1 exit status", "linker command failed", "static data is too large"];
            assert!(
                of_linker.iter().any(|text| rejected.contains(text)),
                "{language:?} {source}: {rejected}"
            );
            assert_eq!(rejected, messages(result(&usual, language, source).await), "{language:?} {source}");
        }
        faster.shutdown().await;
        usual.shutdown().await;
    }
}
