# Shims of other versions, in bin/other-shims/NAME: today's, but for what its version of the protocol has. They exist for tests of
# upgrades only. `first` speaks version 1, which had no Attach; `later` speaks
# version 4, and once its pod is set up, for which the tests have no other wherryd, no version of today any more.

# wherry_other_shim(NAME FROM TO …): the supervisor's source and header with each FROM replaced by TO.
function(wherry_other_shim name)
  set(dir ${CMAKE_CURRENT_BINARY_DIR}/${name}/runtime/shim)
  foreach(file supervisor.cc supervisor.h)
    file(READ ${CMAKE_SOURCE_DIR}/runtime/shim/${file} text)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/runtime/shim/${file})
    set(edits ${ARGN})
    while(edits)
      list(POP_FRONT edits from to)
      string(REPLACE "${from}" "${to}" text "${text}")
    endwhile()
    file(CONFIGURE OUTPUT ${dir}/${file} CONTENT "${text}" @ONLY)
  endforeach()
  add_executable(wherry-shim_${name} ${CMAKE_SOURCE_DIR}/runtime/shim/main.cc ${dir}/supervisor.cc)
  foreach(property COMPILE_OPTIONS INCLUDE_DIRECTORIES LINK_DEPENDS LINK_LIBRARIES LINK_OPTIONS)
    get_target_property(value wherry-shim ${property})
    if(value)
      set_target_properties(wherry-shim_${name} PROPERTIES ${property} "${value}")
    endif()
  endforeach()
  target_include_directories(wherry-shim_${name} BEFORE PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/${name})
  set_target_properties(wherry-shim_${name} PROPERTIES OUTPUT_NAME wherry-shim RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin/other-shims/${name})
endfunction()

wherry_other_shim(first "kProtocolVersion = 3" "kProtocolVersion = 1" "RETURN_IF_ERROR(Attach(asker, request.attach()))\;\n      return true\;" "break\;")
wherry_other_shim(later "kProtocolVersion = 3" "kProtocolVersion = 4" "version == 0 ||" "(pod_.has_value() && version < 4) ||")
