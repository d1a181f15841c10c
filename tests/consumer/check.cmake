# Installs rota into a new folder, builds this project against it, runs the result.
# Given: rota_build, work (a folder of our own), compiler, generator.
function(must_work)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${ARGV}\nended with ${result}:\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${work})
must_work(${CMAKE_COMMAND} --install ${rota_build} --prefix ${work}/installed)
must_work(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${work}/build -G ${generator}
  -D CMAKE_CXX_COMPILER=${compiler} -D CMAKE_PREFIX_PATH=${work}/installed)
must_work(${CMAKE_COMMAND} --build ${work}/build)
foreach(program consumer consumer_of_runtime)
  must_work(${work}/build/${program})
  if(NOT output STREQUAL "hello from a consumer\n")
    message(FATAL_ERROR "${program} said: ${output}")
  endif()
endforeach()

# Nothing of our working tree may be left in what users get.
file(GLOB_RECURSE installed ${work}/installed/*.cmake)
foreach(file IN LISTS installed)
  file(READ ${file} text)
  string(FIND "${text}" "${rota_source}" position)
  if(NOT position EQUAL -1)
    message(FATAL_ERROR "${file} names our source folder ${rota_source}")
  endif()
endforeach()
