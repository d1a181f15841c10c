/// chat_server.cpp: a chat room. The first line that one sends is one's name; every further line
/// goes to all others. Try it with several `nc 127.0.0.1 8889`.  --port N
///
///     $ ./chat_server --port 18883 &
///     chat on port 18883
///     $ ./echo_client --port 18883 Ada
///     Ada has come, 1 in the room
#include <rota/rota.hpp>

#include <cstdlib>
#include <iostream>
#include <list>
#include <string>
#include <string_view>

constexpr std::size_t slow_bytes = 1 << 20;  // who lets more than this pile up is put out

/// Plain data: all members are served on the same loop, and nothing else runs between two awaits.
class Room {
 public:
  using Member = std::list<rota::StreamWriter>::iterator;

  Member enter(rota::StreamWriter writer) {
    return members_.insert(members_.end(), std::move(writer));
  }
  void leave(Member member) { members_.erase(member); }
  std::size_t size() const { return members_.size(); }

  /// To everybody but `except`. Never waits: who does not read harms nobody else.
  void tell(std::string_view line, Member except) {
    for (Member member = members_.begin(); member != members_.end(); ++member) {
      if (member == except) continue;
      if (member->get_write_buffer_size() > slow_bytes) member->abort();
      member->write(line);
    }
  }
  Member nobody() { return members_.end(); }

 private:
  std::list<rota::StreamWriter> members_;
};

Room room;

std::string without_newline(const rota::Bytes& line) {
  return line.str().substr(0, line.view().find_last_not_of("\r\n") + 1);
}

rota::Coro<> serve_member(rota::StreamReader reader, rota::StreamWriter writer) {
  const rota::Bytes first = co_await reader.readline();
  const std::string name = without_newline(first);
  if (name.empty()) co_return;
  const Room::Member self = room.enter(std::move(writer));
  room.tell(name + " has come, " + std::to_string(room.size()) + " in the room\n", room.nobody());
  try {
    for (auto line = co_await reader.readline(); !line.empty(); line = co_await reader.readline()) {
      room.tell(name + ": " + without_newline(line) + '\n', self);
    }
  } catch (const std::exception& error) {  // the connection broke, or a line was too long
    std::cerr << name << ": " << error.what() << '\n';
  }
  room.leave(self);
  room.tell(name + " has gone\n", room.nobody());
}

rota::Coro<> serve(unsigned short port) {
  rota::Server server = co_await rota::start_server(serve_member, "127.0.0.1", port);
  std::cout << "chat on port " << server.port() << std::endl;
  co_await server.serve_forever();
}

int main(int count, char** values) {
  const bool has_port = count == 3 && std::string_view(values[1]) == "--port";
  try {
    rota::run(serve(has_port ? static_cast<unsigned short>(std::atoi(values[2])) : 8889),
              {.loops = 1});
  } catch (const rota::OSError& error) {
    std::cerr << "chat_server: " << error.what() << '\n';
    return 1;
  }
}
