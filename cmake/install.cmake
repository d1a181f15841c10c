# find_package(rota) for users: the targets, and a config file that finds what they link.
set(rota_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/rota)
install(EXPORT rotaTargets NAMESPACE rota:: DESTINATION ${rota_package_dir})
configure_package_config_file(cmake/rotaConfig.cmake.in ${PROJECT_BINARY_DIR}/rotaConfig.cmake
  INSTALL_DESTINATION ${rota_package_dir} NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may break: 0.2 does not serve who asked for 0.1.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/rotaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/rotaConfig.cmake ${PROJECT_BINARY_DIR}/rotaConfigVersion.cmake
  DESTINATION ${rota_package_dir})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
