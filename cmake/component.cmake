# rota_component(runtime SOURCES loop.cpp ... LINKS ... PRIVATE_LINKS ...): one folder, one target, one include root.
#
# What lies in the folder's rota/ is public and installed; everything else is private to the folder. LINKS are what
# users need too; PRIVATE_LINKS only our .cpp files. Without sources the component is an INTERFACE library.
function(rota_component name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINKS;PRIVATE_LINKS")
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/rota/*.hpp)

  if(arg_SOURCES)
    add_library(rota_${name} STATIC ${arg_SOURCES})
    set(scope PUBLIC)
    target_include_directories(rota_${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
    # BUILD_INTERFACE: our warnings and our private libraries' headers are no business of the installed package.
    target_link_libraries(rota_${name} PRIVATE $<BUILD_INTERFACE:rota_options> ${arg_PRIVATE_LINKS})
  else()
    add_library(rota_${name} INTERFACE)
    set(scope INTERFACE)
  endif()

  add_library(rota::${name} ALIAS rota_${name})
  set_target_properties(rota_${name} PROPERTIES EXPORT_NAME ${name})
  target_compile_features(rota_${name} ${scope} cxx_std_23)
  target_sources(rota_${name} ${scope} FILE_SET HEADERS
    BASE_DIRS ${CMAKE_CURRENT_SOURCE_DIR} FILES ${headers})
  target_compile_options(rota_${name} ${scope} ${rota_tail_calls})
  target_link_libraries(rota_${name} ${scope} ${arg_LINKS})
  install(TARGETS rota_${name} EXPORT rotaTargets FILE_SET HEADERS)

  if(ROTA_BUILD_TESTS AND NOT ROTA_SANITIZE)  # a sanitizer has nothing to say about a header
    rota_headers_compile_alone(${name} "${headers}")
  endif()
endfunction()

# Every header is the first include of a source file of its own: one that leans on an earlier include does not build.
# all_headers.cpp, all of them together, is what clang-tidy reads; it also finds names that are defined twice.
function(rota_headers_compile_alone name headers)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/headers_alone)
  set(sources "")
  set(includes "")
  foreach(header IN LISTS headers)
    cmake_path(RELATIVE_PATH header BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} OUTPUT_VARIABLE relative)
    string(REPLACE "/" "_" stem ${relative})
    file(CONFIGURE OUTPUT ${folder}/${stem}.cpp CONTENT "#include <@relative@>\n" @ONLY)
    list(APPEND sources ${folder}/${stem}.cpp)
    string(APPEND includes "#include <${relative}>\n")
  endforeach()
  if(NOT sources)
    return()
  endif()
  file(CONFIGURE OUTPUT ${folder}/all_headers.cpp CONTENT "@includes@" @ONLY)
  add_library(rota_${name}_headers_alone OBJECT ${sources} ${folder}/all_headers.cpp)
  target_link_libraries(rota_${name}_headers_alone PRIVATE rota_${name} rota_options)
endfunction()
