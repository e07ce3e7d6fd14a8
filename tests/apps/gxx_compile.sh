# needs: g++
exec 2>&1
cat > a.cc <<'END'
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <regex>
#include <future>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>
namespace fs = std::filesystem;
int main() {
    std::vector<int> v{3, 1, 2}; std::sort(v.begin(), v.end()); for (int x : v) std::cout << x << ' '; std::cout << '\n';
    try { throw std::runtime_error("thrown"); } catch (const std::exception &e) { std::cout << e.what() << '\n'; }
    auto f = std::async(std::launch::async, [] { return 6 * 7; }); std::cout << f.get() << '\n'; std::mutex m; int n = 0; std::vector<std::thread> ts; for (int i = 0; i < 4; i++) ts.emplace_back([&] { for (int j = 0; j < 1000; j++) { std::lock_guard g(m); n++; } }); for (auto &t : ts) t.join(); std::cout << n << '\n';
    fs::create_directories("d/e"); std::ofstream("d/e/f") << "text"; std::cout << fs::file_size("d/e/f") << fs::exists("d/x") << '\n'; std::cout << std::regex_replace("a1b2", std::regex("[0-9]"), "#") << '\n'; std::map<std::string, std::unique_ptr<int>> mp; mp["k"] = std::make_unique<int>(5); std::cout << *mp["k"] << '\n'; throw 1;
}
END
g++ -std=c++17 -O1 a.cc -o a -pthread && ./a 2>&1; echo $?
