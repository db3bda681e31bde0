# Programs that are linked from archives. Each start of a program pays for every library that the loader has to map and every
# symbol it has to find, each process for the private pages that relocation makes: with gRPC, Protobuf and Abseil as shared objects that
# were 70 libraries and 20,000 symbols. Imported targets name shared objects, so these are given here by the names of their archives.
# Sanitizers want the shared ones.
pkg_check_modules(WHERRY_ABSL REQUIRED absl_status absl_statusor absl_strings absl_cord absl_synchronization absl_time)
pkg_check_modules(WHERRY_GRPC REQUIRED grpc++_unsecure)  # there is no TLS between wherryd and its clients
set(WHERRY_ABSL_ARCHIVES ${WHERRY_ABSL_STATIC_LDFLAGS})
set(WHERRY_GRPC_ARCHIVES -lprotobuf ${WHERRY_GRPC_STATIC_LDFLAGS} -lupb -laddress_sorting -lre2 -lcares)
list(FILTER WHERRY_ABSL_ARCHIVES INCLUDE REGEX "^-labsl_")
list(FILTER WHERRY_GRPC_ARCHIVES INCLUDE REGEX "^-l(absl_|grpc|gpr|protobuf|upb|address|re2|cares)")

# Adds all of this tree that `library` needs to the list `ours`, and the imported targets to the list `imported`.
function(wherry_collect library)
  list(APPEND ours ${library})
  get_target_property(deps ${library} LINK_LIBRARIES)
  foreach(dep IN LISTS deps)
    if(NOT dep MATCHES "^wherry_")
      list(APPEND imported ${dep})
    elseif(NOT dep STREQUAL "wherry_flags" AND NOT dep IN_LIST ours)
      wherry_collect(${dep})
    endif()
  endforeach()
  set(ours ${ours} PARENT_SCOPE)
  set(imported ${imported} PARENT_SCOPE)
endfunction()

# wherry_link_archives(PROGRAM [STATIC | STATIC_CXX] LIBRARIES library… ARCHIVES -lname… [SHARED regex]): links PROGRAM from these libraries
# of this tree, all of it that they need, and the archives. Of the imported targets those that match are linked as they are; STATIC: none,
# not even libc, and at a fixed address. STATIC_CXX: the C++ runtime from its archives, where no shared library wants one, too.
function(wherry_link_archives program)
  cmake_parse_arguments(A "STATIC;STATIC_CXX" "SHARED" "LIBRARIES;ARCHIVES" ${ARGN})
  if(WHERRY_SANITIZE)
    target_link_libraries(${program} PRIVATE wherry_flags ${A_LIBRARIES})
    return()
  endif()
  set(ours)
  set(imported)
  foreach(library IN LISTS A_LIBRARIES)
    wherry_collect(${library})
  endforeach()
  list(REMOVE_DUPLICATES ours)
  list(REMOVE_DUPLICATES imported)
  if(A_STATIC)
    set(imported)
    target_compile_options(${program} PRIVATE -fno-pie)
    target_link_options(${program} PRIVATE -static -no-pie)
  else()
    list(FILTER imported INCLUDE REGEX "${A_SHARED}")
    list(PREPEND imported -Wl,-Bdynamic)
    # 20,000 relocations in some kilobytes instead of half a megabyte that the loader reads (glibc 2.36).
    target_link_options(${program} PRIVATE -Wl,-z,pack-relative-relocs)
    if(A_STATIC_CXX)
      target_link_options(${program} PRIVATE -static-libstdc++ -static-libgcc)
    endif()
  endif()
  set(files)
  foreach(library IN LISTS ours)
    list(APPEND files $<TARGET_FILE:${library}>)
    target_include_directories(${program} SYSTEM PRIVATE $<TARGET_PROPERTY:${library},INTERFACE_INCLUDE_DIRECTORIES>)
  endforeach()
  add_dependencies(${program} ${ours})
  set_target_properties(${program} PROPERTIES LINK_DEPENDS "${files}")
  target_link_libraries(${program} PRIVATE wherry_flags -Wl,--start-group ${files} -Wl,-Bstatic ${A_ARCHIVES} -Wl,--end-group
    ${imported})
endfunction()
