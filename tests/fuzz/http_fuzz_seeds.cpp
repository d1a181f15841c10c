/// http_fuzz_seeds.cpp: writes the corpus of requests into a folder, one file each, and nothing
/// else is left there.

#include "support/http_corpus.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: http_fuzz_seeds FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = arguments[1];
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  for (const auto& sample : rota::testing_support::http_corpus()) {
    std::ofstream file(folder / sample.name, std::ios::binary);
    file << sample.text;
    if (!file.flush()) return 1;
  }
  return 0;
}
