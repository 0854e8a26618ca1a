//! C++ programs have the same result with and without precompiled headers. This is tested as root only: it takes a minute of
//! CPU time, and compilers do the same with fewer privileges.

use gavel_sandbox::Languages;

use crate::speedups::{self, CPP_INPUTS, MISSING, changed, result, start};
use crate::support::{CPP, tier};

/// Programs whose meaning could change if a header is precompiled: it is included twice, after others or after macros
/// that it depends on, or the program looks at what the preprocessor counts.
const PROGRAMS: [&str; 20] = [
    "#include <bits/stdc++.h>\nint main(){std::cout<<__LINE__<<__COUNTER__<<__COUNTER__<<__FILE__<<__INCLUDE_LEVEL__;}",
    "#include <bits/stdc++.h>\n#include <bits/stdc++.h>\n#include <iostream>\nint main(){std::cout<<1;}",
    "#include <iostream>\n#include <bits/stdc++.h>\nint main(){std::cout<<std::max(1,2);}",
    "#include <cstdio>\n#include <iostream>\nint main(){std::cout<<1;}",
    "#include \"bits/stdc++.h\"\nint main(){std::cout<<1;}",
    "#pragma once\n// A comment.\n#include <iostream>\nint main(){std::cout<<__LINE__;}",
    "#pragma GCC optimize(\"O3\")\n#pragma GCC target(\"popcnt\")\n#include <iostream>\nint main(){std::cout<<1;}",
    "#define N 100\n#include <iostream>\nint main(){std::cout<<N;}",
    "#define NDEBUG\n#include <bits/stdc++.h>\nint main(){assert(false);std::cout<<1;}",
    "#include <bits/stdc++.h>\n#define NDEBUG\n#include <cassert>\nint main(){assert(false);std::cout<<1;}",
    "#include <bits/stdc++.h>\nint main(){assert(false);}",
    // Aborts only if the macro counts.
    "#define _GLIBCXX_DEBUG\n#include <bits/stdc++.h>\nint main(){std::vector<int> v(1);if(v[5]<9)std::cout<<1;}",
    "#define _GLIBCXX_ASSERTIONS\n#include <iostream>\n#include <vector>\nint main(){std::vector<int> v(1);if(v[5]<9)std::cout<<1;}",
    "#define _GLIBCXX_USE_CXX11_ABI 0\n#include <iostream>\nint main(){std::cout<<sizeof(std::string);}",
    "#define A __COUNTER__\n#include <iostream>\nint b=A;int main(){std::cout<<b<<A;}",
    "#if __COUNTER__ == 0\n#include <iostream>\n#endif\nint main(){std::cout<<__COUNTER__;}",
    "#line 50 \"x.cpp\"\n#include <iostream>\nint main(){std::cout<<__LINE__<<__FILE__;}",
    "#if __has_include(<iostream>)\n#include <iostream>\n#endif\nint main(){std::cout<<1;}",
    // C++14, which the second command accepts.
    "#include <bits/stdc++.h>\nint main(){register int x=1;std::cout<<__cplusplus<<x;}",
    "#include <iostream>\nvoid f() throw(int){}\nint main(){f();std::cout<<__cplusplus;}",
];

/// Programs that are rejected, with messages that name the header, the line, or the linker.
const REJECTED: [&str; 6] = [
    "#include <bits/stdc++.h>\nstruct A{};\nint main(){std::vector<A> v(2);std::sort(v.begin(),v.end());}",
    "#include <iostream>\nstruct A{};\nint main(){std::cout<<A();\nfoo();}",
    "#define int long long\n#include <iostream>\nint main(){}",
    "#define private public\n#include <bits/stdc++.h>\nint main(){}",
    "#pragma GCC poison printf\n#include <iostream>\nint main(){}",
    "#include <bits/stdc++.h>\nint f();\nint main(){return f();}",
];

type Printed = Result<speedups::Printed, String>;

/// The results of each program, with and without precompiled headers.
async fn results<'a>(sources: &[&'a str]) -> Vec<(&'a str, Printed, Printed)> {
    let faster = start(Languages::default().only(&[CPP.0]), tier()).await;
    let plain = start(changed(CPP, &[(CPP_INPUTS, MISSING)]), tier()).await;
    let mut results = Vec::new();
    for source in sources {
        let (faster, plain) = (result(&faster, CPP, source), result(&plain, CPP, source));
        let (faster, plain) = tokio::join!(Box::pin(faster), Box::pin(plain));
        results.push((*source, faster, plain));
    }
    faster.shutdown().await;
    plain.shutdown().await;
    results
}

async fn assert_same_output(sources: &[&str]) {
    for (source, faster, plain) in results(sources).await {
        assert!(plain.is_ok(), "{source}: {plain:?}");
        // Error output may name an address.
        let printed = |result: Printed| result.map(|(outcome, stdout, _)| (outcome, stdout));
        assert_eq!(printed(faster), printed(plain), "{source}");
    }
}

// Two tests, which run at the same time.
#[tokio::test]
async fn precompiled_headers_change_no_output() {
    assert_same_output(&PROGRAMS[..10]).await;
}

#[tokio::test]
async fn precompiled_headers_change_no_output_of_other_programs() {
    assert_same_output(&PROGRAMS[10..]).await;
}

#[tokio::test]
async fn precompiled_headers_change_no_message() {
    // The linker names the object file, which has a random name.
    let messages = |printed: Printed| {
        let messages = printed.unwrap_err();
        messages.lines().filter(|line| !line.contains("/tmp/cc")).collect::<Vec<_>>().join("\n")
    };
    for (source, faster, plain) in results(&REJECTED).await {
        assert!(plain.is_err(), "{source}: {plain:?}");
        assert_eq!(messages(faster), messages(plain), "{source}");
    }
}
