#include <fstream>

int main() {
    std::ifstream in("/dev/stdin");
    std::ofstream out("/dev/stdout"), err("/dev/stderr");
    out << "first\n" << in.rdbuf() << std::flush;
    std::ofstream("/dev/stdout", std::ios::app) << "last\n";
    err << "error\n";
    return in && out && err ? 0 : 1;
}
