// Works for as much CPU time as the first line of the input says: "MODE MICROSECONDS".
#include <algorithm>
#include <ctime>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

static long used_us() {
    timespec own;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    return own.tv_sec * 1000000L + own.tv_nsec / 1000;
}

static void work(std::vector<unsigned> &numbers) {
    for (size_t i = 0; i < numbers.size(); i++) numbers[i] = numbers[i] * 1664525u + 1013904223u;
    std::sort(numbers.begin(), numbers.end());
}

int main() {
    std::string mode, line;
    long target;
    std::cin >> mode >> target;
    if (mode == "read") while (std::getline(std::cin, line));
    std::vector<std::thread> threads;
    for (int i = 0; mode == "threads" && i < 8; i++) {
        threads.emplace_back([target] {
            std::vector<unsigned> numbers(1000, 1);
            while (used_us() < target) work(numbers);
        });
    }
    std::vector<unsigned> numbers(1000, 1);
    for (long pieces = 0; used_us() < target; pieces++) {
        work(numbers);
        if (mode == "write" && pieces < 1000) std::cout << std::string(999, 'x') << std::endl;
    }
    for (auto &thread : threads) thread.join();
    std::cout << "done" << std::endl;
}
