#Runs `program argument` and succeeds if it fails with `report` in its output.
execute_process(COMMAND ${program} ${argument} RESULT_VARIABLE result OUTPUT_VARIABLE output
                    ERROR_VARIABLE output) if (result EQUAL 0)
    message(FATAL_ERROR
            "${argument} succeeded, so this build does not notice the mistake it makes:\n${output}")
        endif() string(FIND
                       "${output}"
                       "${report}" position) if (position EQUAL - 1)
            message(FATAL_ERROR
                    "${argument} failed (${result}), but not with '${report}':\n${output}") endif()
                message(STATUS "failed as it must: ${report}")
