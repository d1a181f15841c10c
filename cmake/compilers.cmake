# Which compilers may build rota, and the flags of our own sources (never forced on users).

if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 19)
  # A task that was stolen resumes on another thread. Old clangs keep the address of a thread_local (and of errno)
  # across the suspension and then use the first thread's: wrong results, no diagnostic.
  message(FATAL_ERROR
    "rota: clang ${CMAKE_CXX_COMPILER_VERSION} is too old.\n"
    "  why: it caches thread-local addresses across co_await; a task that changed threads reads foreign data\n"
    "  do:  apt-get install clang-19, then cmake -DCMAKE_CXX_COMPILER=clang++-19 in a new build folder")
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 12.2)
  message(FATAL_ERROR "rota: g++ ${CMAKE_CXX_COMPILER_VERSION} is too old: use g++ 12.2 or later, or clang 19")
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  message(WARNING
    "rota: g++ ${CMAKE_CXX_COMPILER_VERSION} destroys some temporaries of a co_await expression twice.\n"
    "  why: a compiler bug, mended in g++ 13\n"
    "  do:  use clang++-19, or write only the forms of runtime/safe_co_await.md")
endif()

if(ROTA_SANITIZE)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # Under a sanitizer g++ makes no tail call of symmetric transfer: a loop of awaits overflows the stack.
    message(FATAL_ERROR "rota: ROTA_SANITIZE needs clang 19; g++ overflows the stack in sanitizer builds")
  endif()
  # For the whole tree: a sanitizer must also be linked into every executable.
  add_compile_options(-fsanitize=${ROTA_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${ROTA_SANITIZE})
endif()

if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)  # for clang-tidy
  find_program(ROTA_CCACHE ccache)
  if(ROTA_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${ROTA_CCACHE})
  endif()
endif()

add_library(rota_options INTERFACE)
target_compile_features(rota_options INTERFACE cxx_std_23)
target_compile_options(rota_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast
  $<$<BOOL:${ROTA_WERROR}>:-Werror>)

# Without this flag g++ below -O2 does not turn symmetric transfer into a tail call, and a loop of awaits overflows
# the stack. It is correctness, not taste: so the components hand it on to their users, whose coroutines need it too.
set(rota_tail_calls $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-foptimize-sibling-calls>)
target_compile_options(rota_options INTERFACE ${rota_tail_calls})
