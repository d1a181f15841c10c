# llhttp, the HTTP/1 parser under rota::http: from the system's library, or from its C sources, which is all that
# Debian 12 has. Without either rota::http is left out.
#
# Sets rota_llhttp to how it was found: "library", "sources" or "". rota_use_llhttp(target) makes it part of a target;
# rota_llhttp_headers is what a target needs that only includes <llhttp.h>.
set(rota_llhttp "")
add_library(rota_llhttp_headers INTERFACE)

pkg_check_modules(libllhttp QUIET IMPORTED_TARGET GLOBAL libllhttp>=8.1)
find_path(ROTA_LLHTTP_SOURCES llhttp.c PATHS /usr/share/llhttp /usr/local/share/llhttp NO_DEFAULT_PATH
  DOC "Folder of llhttp's api.c, http.c and llhttp.c; used where there is no library")
find_path(ROTA_LLHTTP_INCLUDE llhttp.h PATHS /usr/share/include/llhttp /usr/local/share/include/llhttp NO_DEFAULT_PATH
  DOC "Folder of llhttp.h, if it belongs to the sources")
mark_as_advanced(ROTA_LLHTTP_SOURCES ROTA_LLHTTP_INCLUDE)

if(libllhttp_FOUND)
  set(rota_llhttp library)
  target_link_libraries(rota_llhttp_headers INTERFACE PkgConfig::libllhttp)
elseif(ROTA_LLHTTP_SOURCES AND ROTA_LLHTTP_INCLUDE)
  set(rota_llhttp sources)
  # The C compiler that belongs to the C++ one: a sanitizer must be the same in all objects.
  if(NOT CMAKE_C_COMPILER AND NOT DEFINED ENV{CC})
    string(REGEX REPLACE "clang\\+\\+([^/]*)$" "clang\\1" rota_c_compiler "${CMAKE_CXX_COMPILER}")
    string(REGEX REPLACE "g\\+\\+([^/]*)$" "gcc\\1" rota_c_compiler "${rota_c_compiler}")
    if(NOT rota_c_compiler STREQUAL CMAKE_CXX_COMPILER AND EXISTS "${rota_c_compiler}")
      set(CMAKE_C_COMPILER "${rota_c_compiler}")
    endif()
  endif()
  enable_language(C)
  set(rota_llhttp_files ${ROTA_LLHTTP_SOURCES}/api.c ${ROTA_LLHTTP_SOURCES}/http.c ${ROTA_LLHTTP_SOURCES}/llhttp.c)
  target_include_directories(rota_llhttp_headers SYSTEM INTERFACE ${ROTA_LLHTTP_INCLUDE})
  # It has two state machines and takes the lenient one unless told otherwise.
  target_compile_definitions(rota_llhttp_headers INTERFACE LLHTTP_STRICT_MODE=1)
  add_library(rota_llhttp OBJECT ${rota_llhttp_files})
  target_link_libraries(rota_llhttp PRIVATE rota_llhttp_headers)
  target_compile_options(rota_llhttp PRIVATE -w)  # its warnings are not ours to mend
  set_target_properties(rota_llhttp PROPERTIES C_COMPILER_LAUNCHER "${CMAKE_CXX_COMPILER_LAUNCHER}"
    POSITION_INDEPENDENT_CODE ON)
else()
  message(STATUS "rota: rota::http is left out, for want of llhttp: "
    "apt-get install node-llhttp (Debian 12) or libllhttp-dev (later)")
endif()

# The objects go into the target itself, so that what is installed needs no llhttp.
function(rota_use_llhttp target)
  if(rota_llhttp STREQUAL "library")
    target_link_libraries(${target} PRIVATE PkgConfig::libllhttp)
  else()
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:rota_llhttp>)
    target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:rota_llhttp_headers>)
  endif()
endfunction()
