/// tidy_structure.cpp: the rules about includes, names, tests and quotes, and their tables.

#include "support/tidy_structure.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace rota::testing_support {
namespace {

using Names = std::set<std::string, std::less<>>;

/// The layers of runtime/, lowest first, by the files' names without folder and extension.
const std::array<Names, 6>& runtime_layers() {
  static const std::array<Names, 6> layers = {{
      {"error", "concepts", "clock", "stats", "atomic", "intrusive_list", "immovable", "runnable",
       "safe_temporary", "sanitizer", "fork", "this_thread", "cpu", "cpus", "uring_compat",
       "spin_lock"},
      {"ring", "ring_setup", "kernel", "kernel_ops", "context", "loop_core", "loop_state", "inbox",
       "steal_queue", "timer_heap", "frame_allocator", "operation", "startup_errors"},
      {"loop", "doorbell", "debug", "ready_queue", "callback", "completable", "completion_link",
       "result", "bound", "task_base"},
      // loop_close ends the tasks that a loop leaves behind, so it stands above the loop's other
      // parts.
      {"future", "task", "task_names", "coro", "promise", "completion_wait", "completion_watch",
       "held", "executor_job", "wait_queue", "shared_wait", "loop_close"},
      {"runtime", "run_threadsafe", "worker", "idle", "executor", "executor_parts", "executor_tbb",
       "thread_pool", "signals"},
      {"executor_shutdown", "gather", "wait", "timeout", "sleep", "task_group", "with",
       "cancel_scope", "generator", "parallel", "testing", "doctor", "doctor_main"},
  }};
  return layers;
}

/// What sync/ and io/ may include from runtime/rota/detail/. If they need more, users will miss it
/// too.
const Names& open_details() {
  static const Names names = {"atomic",      "bound",     "immovable", "operation",
                              "shared_wait", "spin_lock", "wait_queue"};
  return names;
}

/// Files without a test of their own, as component/stem, and the test that exercises them.
const std::map<std::string, std::string, std::less<>>& tested_through() {
  static const std::map<std::string, std::string, std::less<>> table = {
      {"http/connection", "http_server_test"},
      {"http/connection_answer", "http_server_test"},
      {"http/connection_body", "http_server_test"},
      {"http/head_rules", "http_request_parser_test"},
      {"http/header", "http_parser_test"},
      {"http/line_syntax", "http_request_parser_test"},
      {"http/request", "http_server_test"},
      {"http/llhttp_engine", "http_request_parser_test"},
      {"http/request_head", "http_parser_test"},
      {"http/response", "http_router_test"},
      {"http/server_app", "http_limits_test"},
      {"io/chunk_buffer", "io_streams_test"},
      {"io/io_wait", "io_socket_test"},
      {"io/listener", "io_server_test"},
      {"io/reader_state", "io_streams_test"},
      {"io/rota", "contract_co_await_test"},  // the umbrella
      {"io/server_connection", "io_server_test"},
      {"io/server_state", "io_server_test"},
      {"io/stream_close", "io_streams_test"},
      {"io/stream_transport", "io_streams_test"},
      {"runtime/atomic", "stress_inbox_test"},
      {"runtime/bound", "sync_lock_test"},
      {"runtime/completion_watch", "runtime_gather_test"},
      {"runtime/debug", "watchdog_test"},
      {"runtime/executor_parts", "runtime_executor_exit_test"},
      {"runtime/executor_job", "runtime_executor_test"},
      {"runtime/executor_shutdown", "runtime_executor_exit_test"},
      {"runtime/executor_tbb", "runtime_executor_test"},
      {"runtime/safe_temporary", "contract_co_await_test"},
      {"runtime/stats", "runtime_loop_test"},
      {"runtime/fork", "runtime_ring_setup_test"},
      {"runtime/held", "runtime_gather_test"},
      {"runtime/inbox", "stress_inbox_test"},
      {"runtime/loop_core", "stress_inbox_test"},
      {"runtime/this_thread", "runtime_loop_threads_test"},
      {"runtime/worker", "runtime_runtime_test"},
      {"runtime/concepts", "runtime_coro_test"},
      {"runtime/callback", "runtime_loop_test"},
      {"runtime/completable", "runtime_future_test"},
      {"runtime/completion_link", "runtime_future_test"},
      {"runtime/completion_wait", "runtime_future_test"},
      {"runtime/cpu", "runtime_loop_test"},
      {"runtime/doctor_main", "runtime_doctor_test"},
      {"runtime/doorbell", "runtime_loop_test"},
      {"runtime/immovable", "runtime_ring_test"},
      {"runtime/loop_close", "runtime_loop_test"},
      {"runtime/loop_state", "runtime_loop_test"},
      {"runtime/operation", "runtime_ring_test"},
      {"runtime/promise", "runtime_coro_test"},
      {"runtime/result", "runtime_coro_test"},
      {"runtime/ring_setup", "runtime_ring_test"},
      {"runtime/runnable", "stress_inbox_test"},
      {"runtime/sanitizer", "runtime_ring_test"},
      {"runtime/shared_wait", "sync_threadsafe_lock_test"},
      {"runtime/spin_lock", "sync_threadsafe_lock_test"},
      {"runtime/task_base", "runtime_task_test"},
      {"runtime/task_names", "runtime_task_test"},
      {"runtime/uring_compat", "runtime_ring_test"},
      {"runtime/wait_queue", "sync_lock_test"},
      {"sync/channel_state", "sync_memory_channel_test"},
      {"sync/future_state", "sync_threadsafe_future_test"},
      {"sync/queue_items", "sync_threadsafe_queue_test"},
      {"sync/resource", "sync_memory_channel_test"},
  };
  return table;
}

std::optional<std::size_t> layer_of(const std::string& stem) {
  for (std::size_t layer = 0; layer < runtime_layers().size(); ++layer) {
    if (runtime_layers().at(layer).contains(stem)) return layer;
  }
  return std::nullopt;
}

struct Include {
  std::size_t line = 0;
  std::string name;
  bool quoted = false;
};

std::vector<Include> includes_of(const Source& source) {
  constexpr std::string_view directive = "#include ";
  std::vector<Include> found;
  for (std::size_t i = 0; i < source.lines.size(); ++i) {
    const std::string& line = source.lines[i];
    if (!line.starts_with(directive) || line.size() < directive.size() + 2) continue;
    const bool quoted = line[directive.size()] == '"';
    const std::size_t begin = directive.size() + 1;
    const std::size_t end = line.find(quoted ? '"' : '>', begin);
    found.push_back({i, line.substr(begin, end - begin), quoted});
  }
  return found;
}

std::string stem_of(std::string_view path) {
  path.remove_prefix(path.rfind('/') + 1);  // npos + 1 is 0
  return std::string(path.substr(0, path.rfind('.')));
}

std::string folder_of(std::string_view path) { return std::string(path.substr(0, path.find('/'))); }

/// The last folder of a component, by which its tests are named.
std::string component_name(std::string_view path) {
  const std::string component = component_of(path);
  return component.substr(component.rfind('/') + 1);  // npos + 1 is 0
}

bool is_detail(std::string_view path) { return path.find("/detail/") != path.npos; }

/// The words by which a header is included.
std::string included_as(const Source& header) {
  const std::size_t at = header.path.find("/rota/");
  return at == std::string::npos ? header.name() : header.path.substr(at + 1);
}

bool is_library(std::string_view folder) {
  return folder == "runtime" || folder == "sync" || folder == "io";
}

/// How far up a folder is: it may include from its own height and below.
int height_of(std::string_view folder) {
  if (folder == "runtime") return 0;
  if (folder == "sync") return 1;
  return folder == "io" ? 2 : 3;
}

std::string foreign_include_complaint(const Source& source, const Include& include) {
  constexpr std::array foreign = {"liburing", "tbb/", "oneapi/", "mimalloc", "llhttp"};
  const bool is_foreign = std::ranges::any_of(
      foreign, [&](std::string_view prefix) { return include.name.starts_with(prefix); });
  if (is_foreign && source.is_public())
    return "a public header must compile without foreign headers";
  if (is_foreign && (source.folder() == "sync" || source.folder() == "examples")) {
    return "only runtime/ and io/ talk to it";
  }
  if (include.name == "iostream" && source.is_header() && is_library(source.folder()))
    return "not in a header: it costs every user";
  return {};
}

std::string layer_complaint(const Source& source, const std::string& target) {
  const auto own = layer_of(source.stem());
  const auto other = layer_of(stem_of(target));
  if (!own || !other || *other <= *own)
    return {};  // check_includes complains about unknown ones once per file
  return "layer " + std::to_string(*own) + " must not include layer " + std::to_string(*other);
}

/// `target` is the path of a header of the library.
std::string rota_include_complaint(const Source& source, const std::string& target) {
  const std::string folder = source.folder();
  const std::string target_folder = folder_of(target);
  if (height_of(target_folder) > height_of(folder))
    return folder + "/ must not include " + target_folder + "/";
  const std::string component = component_of(source.path);
  const std::string target_component = component_of(target);
  if (is_library(folder) && target_component != target_folder && target_component != component)
    return component + "/ must not include " + target_component + "/";
  if (folder == "runtime") return layer_complaint(source, target);
  if (folder == "examples" && is_detail(target))
    return "an example uses only what is promised, not detail/";
  const bool reaches_into_runtime =
      is_library(folder) && target_folder == "runtime" && is_detail(target);
  if (reaches_into_runtime && !open_details().contains(stem_of(target)))
    return "not open to " + folder + "/";
  return {};
}

std::string include_complaint(const Source& source, const Include& include,
                              const HeaderIndex& index) {
  const std::string folder = source.folder();
  if (include.name.starts_with("rota/")) {
    const auto found = index.find(include.name);
    return found == index.end() ? "there is no such header"
                                : rota_include_complaint(source, found->second);
  }
  if (!include.quoted) return foreign_include_complaint(source, include);
  const auto found = index.find(include.name);
  const bool is_private_header =
      found != index.end() && component_of(found->second) == component_of(source.path);
  if (folder == "examples") {
    return is_private_header ? "" : "an example includes only <rota/...> and headers of examples/";
  }
  if (folder == "tests" || (folder == "perf" && found == index.end())) return {};
  if (found == index.end()) return "there is no such private header";
  if (!is_private_header) return "it is private to " + component_of(found->second) + "/";
  return rota_include_complaint(source, found->second);
}

using Graph = std::map<std::string, std::vector<std::string>>;

/// Depth-first search; `path` is where we are. The first cycle that is found ends it.
bool find_cycle(const Graph& graph, const std::string& node, std::vector<std::string>& path,
                std::set<std::string>& done) {
  path.push_back(node);
  if (std::ranges::count(path, node) > 1) return true;
  const auto edges = graph.find(node);
  if (!done.contains(node) && edges != graph.end()) {
    for (const std::string& next : edges->second) {
      if (find_cycle(graph, next, path, done)) return true;
    }
  }
  done.insert(node);
  path.pop_back();
  return false;
}

/// Without blank lines at both ends, so that the markers may stand at a distance.
std::string without_margins(std::string text) {
  text.erase(0, std::min(text.find_first_not_of('\n'), text.size()));
  const std::size_t last = text.find_last_not_of(" \n");
  text.erase(last == std::string::npos ? 0 : last + 1);
  return text;
}

/// The lines between those that begin with `open` and with `close`, block by block.
std::vector<std::string> blocks_between(const std::vector<std::string>& lines,
                                        std::string_view open, std::string_view close) {
  std::vector<std::string> blocks;
  bool inside = false;
  for (const std::string& line : lines) {
    if (!inside && line.starts_with(open)) {
      inside = true;
      blocks.emplace_back();
    } else if (inside && line.starts_with(close)) {
      inside = false;
      blocks.back() = without_margins(blocks.back());
    } else if (inside) {
      blocks.back() += line + '\n';
    }
  }
  return blocks;
}

}  // namespace

std::string component_of(std::string_view path) {
  std::string folder = folder_of(path);
  const std::size_t inner = folder.size() + 1;
  const std::size_t inner_end = path.find('/', inner);
  if (folder != "io" || inner_end == path.npos) return folder;
  const std::string_view name = path.substr(inner, inner_end - inner);
  return name == "rota" ? folder : folder + "/" + std::string(name);
}

HeaderIndex index_headers(const std::vector<Source>& sources) {
  HeaderIndex index;
  for (const Source& source : sources) {
    if (source.is_header() && (is_library(source.folder()) || source.folder() == "examples"))
      index.emplace(included_as(source), source.path);
  }
  return index;
}

Complaints check_unique_headers(const std::vector<Source>& sources) {
  Complaints complaints;
  std::map<std::string, std::string> seen;
  for (const Source& source : sources) {
    if (!source.is_header()) continue;
    const auto [first, is_new] = seen.emplace(included_as(source), source.path);
    if (!is_new) complaints.push_back(complaint(source, 0, "has the name of " + first->second));
  }
  return complaints;
}

Complaints check_includes(const Source& source, const HeaderIndex& index) {
  Complaints complaints;
  if (source.folder() == "runtime" && !layer_of(source.stem())) {
    complaints.push_back(complaint(
        source, 0, "has no layer: add it to the table in tests/support/tidy_structure.cpp"));
  }
  for (const Include& include : includes_of(source)) {
    const std::string what = include_complaint(source, include, index);
    if (!what.empty())
      complaints.push_back(complaint(source, include.line, include.name + ": " + what));
  }
  return complaints;
}

Complaints check_cycles(const std::vector<Source>& sources, const HeaderIndex& index) {
  Graph graph;
  for (const Source& source : sources) {
    if (!source.is_header()) continue;
    for (const Include& include : includes_of(source)) {
      const auto found = index.find(include.name);
      if (found != index.end()) graph[source.path].push_back(found->second);
    }
  }
  std::set<std::string> done;
  for (const auto& [node, edges] : graph) {
    std::vector<std::string> path;
    if (!find_cycle(graph, node, path, done)) continue;
    std::string text = "includes in a circle:";
    for (const std::string& step : path) text += " " + step;
    return {text};
  }
  return {};
}

Complaints check_has_test(const Source& source, const std::set<std::string>& tests) {
  const std::string stem = source.stem();
  const bool is_threadsafe = source.path.find("/threadsafe/") != std::string::npos;
  const std::string component = component_name(source.path);
  std::vector<std::string> names = {component + "_" + stem + "_test"};
  if (stem == component) names.push_back(stem + "_test");
  if (is_threadsafe) names.push_back(component + "_threadsafe_" + stem + "_test");
  const auto entry = tested_through().find(component + "/" + stem);
  if (entry != tested_through().end()) names = {entry->second};
  if (std::ranges::any_of(names, [&](const auto& name) { return tests.contains(name); })) return {};
  return {complaint(source, 0, "there is no tests/" + names.back() + ".cpp")};
}

Complaints check_is_built(const Source& source, std::string_view cmake_text) {
  if (source.is_header()) return {};
  const std::string name = source.name();
  for (std::size_t at = cmake_text.find(name); at != cmake_text.npos;
       at = cmake_text.find(name, at + 1)) {
    if (is_word_at(cmake_text, at, name)) return {};
  }
  return {complaint(
      source, 0, "is not in " + component_of(source.path) + "/CMakeLists.txt: nobody builds it")};
}

Complaints check_quotes(std::string_view readme, const std::vector<Source>& examples) {
  Complaints complaints;
  const auto quotes = blocks_between(parse("README.md", readme).lines, "```cpp", "```");
  std::vector<std::string> parts;
  for (const Source& example : examples) {
    for (std::string& part : blocks_between(example.lines, "// [readme", "// readme]")) {
      if (std::ranges::find(quotes, part) == quotes.end()) {
        complaints.push_back(example.path +
                             ": its part for the README is not there, or not the same:\n" + part);
      }
      parts.push_back(std::move(part));
    }
  }
  for (const std::string& quote : quotes) {
    if (std::ranges::find(parts, quote) == parts.end()) {
      complaints.push_back("README.md: this code is in no example, so nobody compiles it:\n" +
                           quote);
    }
  }
  return complaints;
}

}  // namespace rota::testing_support
