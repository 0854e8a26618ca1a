#include <iostream>
#include <map>
#include <optional>
#include <string_view>

template <typename T>
constexpr auto twice(T value) {
    if constexpr (sizeof(T) > 4) return value * 2;
    else return value + value;
}

int main() {
    std::map<std::string_view, std::optional<int>> ages{{"a", 20}, {"b", std::nullopt}};
    for (const auto& [name, age] : ages) std::cout << name << twice(age.value_or(1)) << "\n";
}
